import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";

const places = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** Path of a Chromium on this machine; `undefined` without one. `CHROMIUM` names another. */
export const chromium = process.env["CHROMIUM"] ?? places.find((path) => existsSync(path));

interface Reply {
  readonly id?: number;
  readonly method?: string;
  readonly params?: {
    readonly exceptionDetails?: { readonly text: string };
    readonly entry?: { readonly level: string; readonly text: string };
  };
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly message: string };
}

/** Page in a headless Chromium, driven by the DevTools protocol over a pipe. */
export class Browser implements AsyncDisposable {
  /** Uncaught errors and failed requests of the page. */
  readonly problems: string[] = [];
  readonly #process: ChildProcess;
  readonly #profile: string;
  readonly #waiting = new Map<number, (reply: Reply) => void>();
  #lastId = 0;
  #session: string | undefined;

  private constructor(process: ChildProcess, profile: string) {
    this.#process = process;
    this.#profile = profile;
    this.#read(process.stdio[4] as Readable);
  }

  static async open(executable: string, url: string): Promise<Browser> {
    const profile = await mkdtemp(join(tmpdir(), "support-desk-page-"));
    const flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"];
    const child = spawn(executable, [...flags, "--remote-debugging-pipe", `--user-data-dir=${profile}`], {
      stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"],
    });
    const browser = new Browser(child, profile);
    const { targetId } = await browser.send("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await browser.send("Target.attachToTarget", { targetId, flatten: true });
    browser.#session = sessionId as string;
    for (const domain of ["Page", "Runtime", "Log", "DOM"]) await browser.send(`${domain}.enable`);
    await browser.send("Page.navigate", { url });
    return browser;
  }

  async send(method: string, params: object = {}): Promise<Record<string, unknown>> {
    const id = ++this.#lastId;
    const replied = new Promise<Reply>((resolve) => this.#waiting.set(id, resolve));
    const session = this.#session === undefined ? {} : { sessionId: this.#session };
    (this.#process.stdio[3] as Writable).write(`${JSON.stringify({ id, method, params, ...session })}\0`);
    const { result, error } = await replied;
    if (error !== undefined) throw new Error(`${method}: ${error.message}`);
    return result ?? {};
  }

  /** Runs the body of an async function in the page. Returns what it returns. */
  async run(body: string): Promise<unknown> {
    const expression = `(async () => { ${body} })()`;
    const reply = await this.send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
    const { result, exceptionDetails } = reply as {
      result: { value?: unknown };
      exceptionDetails?: { exception?: { description?: string }; text: string };
    };
    if (exceptionDetails === undefined) return result.value;
    throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
  }

  /** Runs a function body in the page whenever the page changes, until it returns something true. Returns that. */
  waitFor(condition: string): Promise<unknown> {
    return this.run(`
      const check = () => { ${condition} };
      return check() || new Promise((resolve) => {
        const observer = new MutationObserver(() => {
          const found = check();
          if (!found) return;
          observer.disconnect();
          resolve(found);
        });
        observer.observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
      });
    `);
  }

  /** Chooses a file in a file input, as a user does. */
  async chooseFile(selector: string, file: string): Promise<void> {
    const { root } = (await this.send("DOM.getDocument")) as { root: { nodeId: number } };
    const { nodeId } = await this.send("DOM.querySelector", { nodeId: root.nodeId, selector });
    await this.send("DOM.setFileInputFiles", { nodeId, files: [file] });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#process, "close");
    this.#process.kill("SIGKILL");
    await closed;
    await rm(this.#profile, { recursive: true, force: true, maxRetries: 5 });
  }

  /** Reads messages, which end with a zero byte. */
  #read(pipe: Readable): void {
    let text = "";
    pipe.setEncoding("utf8").on("data", (chunk: string) => {
      const messages = (text + chunk).split("\0");
      text = messages.pop() ?? "";
      for (const message of messages) this.#receive(JSON.parse(message) as Reply);
    });
  }

  #receive(reply: Reply): void {
    if (reply.id !== undefined) {
      this.#waiting.get(reply.id)?.(reply);
      this.#waiting.delete(reply.id);
    } else if (reply.method === "Runtime.exceptionThrown") {
      this.problems.push(reply.params?.exceptionDetails?.text ?? "");
    } else if (reply.method === "Log.entryAdded" && reply.params?.entry?.level === "error") {
      this.problems.push(reply.params.entry.text);
    }
  }
}
