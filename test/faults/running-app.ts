import { join } from "node:path";
import { type CommandOptions, CommandProcess } from "../cli-process.js";

/** HTTP answer: its status, and its body as JSON. */
export interface Answer {
  readonly status: number;
  readonly body: any;
}

/** App made of a file of this folder and served by the command line. */
export class RunningApp implements Disposable {
  readonly command: CommandProcess;
  #url: Promise<string>;

  /**
   * Starts the app.
   *
   * @param file Such as `"services.ts:Front"`.
   * @param url  Address, when the app cannot print it.
   */
  constructor(file: string, args: readonly string[] = [], options: CommandOptions = {}, url?: Promise<string>) {
    const all = ["serve", file, "--port", "0", "--host", "127.0.0.1", "--no-http-access-log", ...args];
    this.command = new CommandProcess(all, { cwd: join(import.meta.dirname), ...options });
    this.#url = url ?? this.command.url();
    this.#url.catch(() => {});
  }

  async call(api: string, input?: unknown): Promise<Answer> {
    const { status, body } = await this.request(api, input);
    return { status, body };
  }

  /** Calls an api. @returns The answer and its headers. */
  async request(api: string, input?: unknown): Promise<Answer & { readonly headers: Headers }> {
    const headers = { "content-type": "application/json" };
    const body = input === undefined ? {} : { headers, body: JSON.stringify(input) };
    const response = await fetch(`${await this.#url}/${api}`, { method: "POST", ...body });
    return { status: response.status, body: await response.json(), headers: response.headers };
  }

  async text(path: string): Promise<string> {
    return (await fetch(`${await this.#url}${path}`)).text();
  }

  async get(path: string): Promise<Answer> {
    const response = await fetch(`${await this.#url}${path}`);
    return { status: response.status, body: await response.json() };
  }

  /** Returns the state of one service in `/readyz`. */
  async readiness(
    service: string,
  ): Promise<{ readonly isReady: boolean; readonly readyReplicas: number; detail?: string }> {
    const { body } = await this.get("/readyz");
    return body.services.find(({ name }: { name: string }) => name === service);
  }

  /** Lines of the log so far. */
  get log(): readonly Readonly<Record<string, any>>[] {
    const lines = this.command.printed.stdout.split("\n").slice(0, -1);
    return lines.filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
  }

  /** Stops the app with SIGTERM. Resolves with the exit code when all processes that it started have ended. */
  async end(): Promise<number | null> {
    this.command.child.kill("SIGTERM");
    return (await this.command.ended).status;
  }

  /** Kills the supervisor; its replicas end with it. */
  [Symbol.dispose](): void {
    this.command[Symbol.dispose]();
  }
}
