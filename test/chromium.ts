import { spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants, mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import os from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";

const places = [
  ...(process.env["CHROMIUM"] === undefined ? [] : [process.env["CHROMIUM"]]),
  ...["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"],
];

/** Path of the Chromium of this machine; `undefined` when there is none. */
const chromiumPath: string | undefined = places.find((path) => {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
});

/** Reason to skip tests in a browser; `false` where they can run. */
export const skipsBrowser: string | false =
  chromiumPath === undefined ? "this machine has no Chromium (set CHROMIUM to its path)" : false;

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly sessionId?: string;
  readonly params?: unknown;
  readonly result?: unknown;
  readonly error?: { readonly message: string };
}

type Params = Readonly<Record<string, unknown>>;

/** A Chromium without a window, driven by its own protocol over two pipes. */
export class Chromium implements AsyncDisposable {
  readonly #folder = mkdtempSync(join(os.tmpdir(), "ekiben-chromium-"));
  readonly #process = spawn(
    chromiumPath as string,
    [
      ...["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"],
      ...["--hide-scrollbars", "--remote-debugging-pipe", `--user-data-dir=${this.#folder}`, "about:blank"],
    ],
    { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"], detached: true },
  );
  readonly #exit = once(this.#process, "exit");
  readonly #answers = new Map<number, (message: Message) => void>();
  readonly #listeners = new Set<(message: Message) => void>();
  #lastId = 0;

  constructor() {
    let rest = "";
    (this.#process.stdio[4] as Readable).setEncoding("utf8").on("data", (piece: string) => {
      const messages = (rest + piece).split("\0");
      rest = messages.pop() ?? "";
      for (const text of messages) this.#receive(JSON.parse(text) as Message);
    });
    void this.#exit.then(() => {
      for (const answer of this.#answers.values()) answer({ error: { message: "Chromium has ended" } });
    });
  }

  #receive(message: Message): void {
    const answer = message.id === undefined ? undefined : this.#answers.get(message.id);
    if (answer !== undefined) answer(message);
    else for (const listener of this.#listeners) listener(message);
  }

  async send<T>(method: string, params: Params = {}, sessionId?: string): Promise<T> {
    const id = ++this.#lastId;
    const message = await new Promise<Message>((resolve) => {
      this.#answers.set(id, resolve);
      (this.#process.stdio[3] as Writable).write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    });
    this.#answers.delete(id);
    if (message.error !== undefined) throw new Error(`${method}: ${message.error.message}`);
    return message.result as T;
  }

  /** Resolves when a page reports this event. */
  next(method: string, sessionId: string): Promise<void> {
    return new Promise((resolve) => {
      const listener = (message: Message) => {
        if (message.method !== method || message.sessionId !== sessionId) return;
        this.#listeners.delete(listener);
        resolve();
      };
      this.#listeners.add(listener);
    });
  }

  /** Opens a page of this width and waits until it has loaded. */
  async open(url: string, width: number, height = 800): Promise<BrowserPage> {
    const { targetId } = await this.send<{ targetId: string }>("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await this.send<{ sessionId: string }>("Target.attachToTarget", { targetId, flatten: true });
    const page = new BrowserPage(this, sessionId);
    const metrics = { width, height, deviceScaleFactor: 1, mobile: width < 600 };
    await page.send("Emulation.setDeviceMetricsOverride", metrics);
    await page.send("Page.enable");
    const loaded = this.next("Page.loadEventFired", sessionId);
    await page.send("Page.navigate", { url });
    await loaded;
    return page;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Its helper processes are in its group; one that outlived it would write into the folder that is removed.
    process.kill(-(this.#process.pid as number), "SIGKILL");
    await this.#exit;
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 10 });
  }
}

/** One page of a browser. */
export class BrowserPage {
  readonly #browser: Chromium;
  readonly #sessionId: string;

  constructor(browser: Chromium, sessionId: string) {
    this.#browser = browser;
    this.#sessionId = sessionId;
  }

  send<T>(method: string, params: Params = {}): Promise<T> {
    return this.#browser.send(method, params, this.#sessionId);
  }

  /** Runs an expression in the page and returns its value, which is awaited. */
  async run<T>(expression: string): Promise<T> {
    const { result, exceptionDetails } = await this.send<{
      result: { value: T };
      exceptionDetails?: { text: string; exception?: { description?: string } };
    }>("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
    if (exceptionDetails === undefined) return result.value;
    throw new Error(`${expression}: ${exceptionDetails.exception?.description ?? exceptionDetails.text}`);
  }

  /** Resolves with the value of an expression as soon as it is true; looks again after each frame. */
  until<T>(expression: string): Promise<T> {
    return this.run(`new Promise((resolve, reject) => {
      const look = () => {
        try {
          const found = ${expression};
          if (found) resolve(found);
          else requestAnimationFrame(look);
        } catch (error) {
          reject(error);
        }
      };
      look();
    })`);
  }

  /** Chooses files in an input, as a user does. */
  async choose(selector: string, files: readonly string[]): Promise<void> {
    const { root } = await this.send<{ root: { nodeId: number } }>("DOM.getDocument");
    const { nodeId } = await this.send<{ nodeId: number }>("DOM.querySelector", { nodeId: root.nodeId, selector });
    await this.send("DOM.setFileInputFiles", { nodeId, files });
  }
}
