import { Agent, type ClientRequest, type IncomingMessage, request as openRequest } from "node:http";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** One HTTP request, and the behaviour of its client. */
export interface Sending {
  readonly method?: "GET" | "POST";
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  /** Number of parts in which the body is sent, with a pause before each. */
  readonly writeParts?: number;
  /** Pause between parts of the body, and between reads of the answer. */
  readonly pauseMs?: number;
  /** Moment at which the client disconnects: within its own body, before the answer, or within the answer. */
  readonly leaves?: { readonly during: "body" | "answer"; readonly afterMs: number };
}

/** Outcome of the request. */
export type Ending =
  | { readonly kind: "answered"; readonly status: number; readonly contentType: string; readonly body: Buffer }
  /** The connection broke; `body` is the received part of the answer. */
  | { readonly kind: "broken"; readonly error: string; readonly status: number; readonly body: Buffer }
  | { readonly kind: "left" }
  | { readonly kind: "hung" };

/** Client with one connection at a time, which stays open between requests. */
export class Connection {
  /** Time at which the connection of the last request was opened. */
  openedAt = 0;
  readonly #url: string;
  readonly #limitMs: number;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  readonly #openedAt = new WeakMap<Socket, number>();

  /** Sends a request. @param limitMs Time after which the request counts as hung. */
  constructor(url: string, limitMs: number) {
    this.#url = url;
    this.#limitMs = limitMs;
  }

  async send(sending: Sending): Promise<Ending> {
    const { method = "POST", path, headers = {}, body = Buffer.alloc(0) } = sending;
    const length = { "content-length": body.length };
    const begun = performance.now();
    const request = openRequest(`${this.#url}${path}`, {
      ...{ method, agent: this.#agent, headers: { ...headers, ...(method === "POST" && length) } },
    });
    this.openedAt = begun;
    request.on("socket", (socket) => {
      this.openedAt = this.#openedAt.get(socket) ?? begun;
      this.#openedAt.set(socket, this.openedAt);
    });
    let gone: "left" | "hung" | undefined;
    const go = (why: "left" | "hung") => {
      gone ??= why;
      request.destroy();
    };
    const limit = setTimeout(go, this.#limitMs, "hung");
    const leave = sending.leaves?.during === "body" ? setTimeout(go, sending.leaves.afterMs, "left") : undefined;
    const ended = endingOf(request, sending, () => go("left"));
    writeBody(request, body, sending).catch(() => {});
    const ending = await ended;
    clearTimeout(limit);
    clearTimeout(leave);
    // The unread part of an answer is dropped when its reader disconnects.
    return gone === undefined ? ending : { kind: gone };
  }

  close(): void {
    this.#agent.destroy();
  }
}

async function writeBody(request: ClientRequest, body: Buffer, { writeParts = 1, pauseMs = 0 }: Sending) {
  if (writeParts > 1) request.flushHeaders();
  const size = Math.max(1, Math.ceil(body.length / writeParts));
  for (let at = 0; at < body.length && writeParts > 1; at += size) {
    await sleep(pauseMs);
    if (request.destroyed) return;
    request.write(body.subarray(at, at + size));
  }
  if (writeParts > 1) request.end();
  else request.end(body);
}

function endingOf(request: ClientRequest, sending: Sending, leave: () => void): Promise<Ending> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let response: IncomingMessage | undefined;
    const lose = (error: Error) => {
      const status = response?.statusCode ?? 0;
      resolve({ kind: "broken", error: error.message, status, body: Buffer.concat(chunks) });
    };
    request.on("error", lose);
    request.on("close", () => lose(new Error("closed")));
    request.on("response", (opened) => {
      response = opened;
      opened.on("error", lose);
      opened.on("data", (chunk: Buffer) => {
        chunks.push(chunk);
        if (sending.leaves?.during === "answer" && chunks.length === 1) setTimeout(leave, sending.leaves.afterMs);
        if (sending.pauseMs !== undefined) readLater(opened, sending.pauseMs);
      });
      opened.on("end", () => {
        const contentType = opened.headers["content-type"] ?? "";
        resolve({ kind: "answered", status: opened.statusCode ?? 0, contentType, body: Buffer.concat(chunks) });
      });
    });
  });
}

/** Pauses reading in the kernel: data that a paused response has already read is lost when the connection ends. */
function readLater({ socket }: IncomingMessage, pauseMs: number): void {
  socket.pause();
  setTimeout(() => socket.resume(), pauseMs);
}
