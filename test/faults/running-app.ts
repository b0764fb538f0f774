import { join } from "node:path";
import { type CommandOptions, CommandProcess } from "../cli-process.js";

/** An answer over HTTP: its status, and its body as JSON. */
export interface Answer {
  readonly status: number;
  readonly body: any;
}

/** An app of one of this folder's files, served by the command line. */
export class RunningApp implements Disposable {
  readonly command: CommandProcess;
  #url: Promise<string>;

  /**
   * @param file `"services.ts:Front"`
   * @param url  Where it answers, when it can't say so itself.
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

  /** A call, and the headers of its answer. */
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

  /** What `/readyz` says of one service. */
  async readiness(
    service: string,
  ): Promise<{ readonly isReady: boolean; readonly readyReplicas: number; detail?: string }> {
    const { body } = await this.get("/readyz");
    return body.services.find(({ name }: { name: string }) => name === service);
  }

  /** Lines of the log up to now. */
  get log(): readonly Readonly<Record<string, any>>[] {
    const lines = this.command.printed.stdout.split("\n").slice(0, -1);
    return lines.filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
  }

  /** Drains and ends it; resolves with its exit code when no process that it started is left. */
  async end(): Promise<number | null> {
    this.command.child.kill("SIGTERM");
    return (await this.command.ended).status;
  }

  /** Ends the supervisor at once; its replicas follow. */
  [Symbol.dispose](): void {
    this.command[Symbol.dispose]();
  }
}
