import { createHash } from "node:crypto";
import { existsSync, readdirSync, statSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { ModelDescriptor } from "../../src/define/model.js";

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** Server of files on this machine that notes its requests, and may break off. */
export class FileServer implements AsyncDisposable {
  /** Paths that were asked for, with the range: `"/a.onnx bytes=10-"`. */
  readonly asked: string[] = [];
  readonly headers: IncomingMessage["headers"][] = [];
  readonly answers = new Map<string, Answer>();
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<FileServer> {
    const server = createServer();
    const files = new FileServer(server);
    server.on("request", (request: IncomingMessage, response: ServerResponse) => {
      const { url = "", headers } = request;
      files.asked.push(headers.range === undefined ? url : `${url} ${headers.range}`);
      files.headers.push(headers);
      const answer = files.answers.get(url) ?? ((_, own) => own.writeHead(404).end());
      answer(request, response);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return files;
  }

  url(path: string): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}${path}`;
  }

  /** Serves a file, and parts of it. */
  add(path: string, bytes: Uint8Array): void {
    this.answers.set(path, (request, response) => sendFile(request, response, bytes));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/**
 * Answers with a file, or with the rest of it that was asked for.
 *
 * @param end    Bytes after which the connection ends.
 * @param folder Folder in which the client keeps them. The connection ends once some are there: an error of a stream
 *   drops what its reader has not read yet.
 */
export function sendFile(
  request: IncomingMessage,
  response: ServerResponse,
  bytes: Uint8Array,
  end = Number.POSITIVE_INFINITY,
  folder?: string,
): void {
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
  if (from > 0 && from >= bytes.length) {
    response.writeHead(416).end();
    return;
  }
  const part = bytes.subarray(from);
  response.writeHead(from > 0 ? 206 : 200, {
    "content-length": part.length,
    ...(from > 0 && { "content-range": `bytes ${from}-${bytes.length - 1}/${bytes.length}` }),
  });
  if (end >= part.length) response.end(part);
  else {
    response.write(part.subarray(0, end));
    breakOff(response, () => folder === undefined || sizeOfPart(folder) > from);
  }
}

function breakOff(response: ServerResponse, isDue: () => boolean): void {
  if (isDue()) response.destroy();
  else if (!response.destroyed) setImmediate(breakOff, response, isDue);
}

/** Size of the part of a file that a client has kept in a folder; 0 when there is none. */
function sizeOfPart(folder: string): number {
  const part = existsSync(folder)
    ? readdirSync(folder, { recursive: true, encoding: "utf8" }).find((name) => name.endsWith(".part"))
    : undefined;
  return part === undefined ? 0 : (statSync(join(folder, part), { throwIfNoEntry: false })?.size ?? 0);
}

export const digestOf = (bytes: Uint8Array, algorithm = "sha256"): string =>
  createHash(algorithm).update(bytes).digest("hex");

/** Bytes that differ from place to place. */
export const bytesOf = (length: number, seed = 1): Uint8Array =>
  Uint8Array.from({ length }, (_, at) => (at * 31 + (at >> 8) * seed) & 0xff);

/** A declared model. */
export const aModel = (from: string, sha256: string | undefined, folder = "/"): ModelDescriptor => ({
  ...{ field: "weights", name: "det", version: "1.2", from, sha256, folder, problem: undefined },
});
