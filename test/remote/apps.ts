import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type AppFile, type Logger, type Server, serve } from "ekiben";
import { type ComposedApp, compose } from "ekiben/testing";
import { Front } from "./services.js";

const silent: Logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent };

/** Folder with an edge key, removed with everything else of a test. */
export class EdgeFolder implements AsyncDisposable {
  readonly path = mkdtempSync(join(tmpdir(), "ekiben-remote-"));
  readonly #open: (() => Promise<unknown>)[] = [];
  /** Keeps the process alive: an app that calls others does not. */
  readonly #alive = setInterval(() => {}, 60_000);
  #keys = 0;

  /** Makes a file with a new key. */
  newKey(): string {
    const file = join(this.path, `edge-${++this.#keys}.key`);
    writeFileSync(file, `${randomBytes(32).toString("base64")}\n`, { mode: 0o600 });
    return file;
  }

  /** Registers work to do at the end, before that which was registered earlier. */
  onEnd(end: () => Promise<unknown>): void {
    this.#open.push(end);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#alive);
    for (const end of this.#open.reverse()) await end();
    rmSync(this.path, { recursive: true, force: true });
  }
}

interface RankerWish {
  /** Default: a free port. */
  readonly listen?: string;
  /** Entry class of the graph that has the Ranker. Default: that of the callers. */
  readonly front?: Parameters<typeof serve>[0];
}

/** Starts an app that runs the Ranker alone. */
export async function serveRanker(
  folder: EdgeFolder,
  options: AppFile,
  { listen = "127.0.0.1:0", front = Front }: RankerWish = {},
): Promise<Server> {
  const server = await serve(front, {
    ...{ service: "Ranker", listen, from: new URL("./services.ts", import.meta.url), log: silent },
    options: { placement: "inline", adminPort: 0, data: folder.path, tasks: { schedules: false }, ...options },
  });
  let closing: Promise<void> | undefined;
  const close = () => (closing ??= server.close());
  folder.onEnd(close);
  return { ...server, close };
}

/** Starts an app that calls the Ranker at these addresses. */
export async function composeFront(
  folder: EdgeFolder,
  at: string | readonly string[],
  options: AppFile = {},
  log: Logger = silent,
): Promise<ComposedApp<Front>> {
  const { services, ...others } = options;
  const app = await compose(Front, {
    log,
    options: { ...others, services: { ...services, Ranker: { ...services?.["Ranker"], at } } },
  });
  folder.onEnd(() => app.close());
  return app;
}

/** Finds a port that nothing listens on. */
export async function findPort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Passes bytes on between its callers and a port, until it is told to swallow them. */
export class Swallower implements AsyncDisposable {
  readonly #server: net.Server;
  readonly #sockets = new Set<net.Socket>();
  #swallows = false;

  private constructor(port: number) {
    this.#server = net.createServer((near) => {
      const far = net.connect(port, "127.0.0.1");
      for (const [one, other] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(one);
        one.on("error", () => {});
        one.on("data", (chunk) => {
          if (!this.#swallows) other.write(chunk);
        });
        one.on("close", () => {
          if (!this.#swallows) other.destroy();
        });
      }
    });
  }

  static async before(port: number): Promise<Swallower> {
    const own = new Swallower(port);
    await new Promise<void>((resolve) => own.#server.listen(0, "127.0.0.1", resolve));
    return own;
  }

  get url(): string {
    return `tls://127.0.0.1:${(this.#server.address() as net.AddressInfo).port}`;
  }

  /** Lets no byte pass from now on, and no end of a connection either. */
  swallow(): void {
    this.#swallows = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
