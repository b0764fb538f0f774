import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse, ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import { constants } from "node:http2";
import type { Server } from "node:net";
import type { TLSSocket } from "node:tls";
import type { FastifyReply } from "fastify";

// Connections of clients, whether they speak HTTP/1.1, the same over TLS, or HTTP/2.
//
// The other files see requests and responses of HTTP/1.1: Node gives those of HTTP/2 the same methods. This file has
// what differs: several requests share a connection at the same time, and one is ended without the others.

/** Connection of a client. */
export interface Connection {
  /** Bytes that the client has sent on it. */
  readonly bytesRead: number;
  /** Cuts it at once. */
  destroy(): void;
  /** Ends it after everything that was written. */
  destroySoon(): void;
  /** Takes no further request; open ones are answered. Absent: each response of HTTP/1.1 says so itself. */
  leave?(): void;
  on(event: "close", run: () => void): unknown;
}

const sessions = new WeakMap<ServerHttp2Session, Connection>();

/**
 * Calls `onOpen` with each connection of a server, once a client can send requests on it.
 *
 * A connection whose TLS is not agreed on yet can't be ended here: Node crashes when its socket is destroyed. Node ends
 * it itself after `handshakeTimeout`.
 */
export function followConnections(server: Server, isSecure: boolean, onOpen: (connection: Connection) => void): void {
  if (!isSecure) {
    server.on("connection", onOpen);
    return;
  }
  server.on("secureConnection", (socket: TLSSocket) => {
    if (socket.alpnProtocol !== "h2") onOpen(socket);
  });
  server.on("session", (session: ServerHttp2Session) => {
    const connection = new SessionConnection(session);
    sessions.set(session, connection);
    onOpen(connection);
  });
}

/** Connection of HTTP/2. It has a request from its first stream on. */
class SessionConnection implements Connection {
  readonly #session: ServerHttp2Session;

  constructor(session: ServerHttp2Session) {
    this.#session = session;
    // A client that breaks the protocol ends its session, and nothing else.
    session.on("error", () => {});
  }

  get bytesRead(): number {
    return this.#session.destroyed ? 0 : this.#session.socket.bytesRead;
  }

  destroy(): void {
    this.#session.destroy();
  }

  destroySoon(): void {
    this.leave();
  }

  leave(): void {
    if (!this.#session.closed) this.#session.close();
  }

  on(event: "close", run: () => void): void {
    this.#session.on(event, run);
  }
}

/** Returns the connection on which a request came. */
export function connectionOf(request: IncomingMessage): Connection {
  if (request.httpVersionMajor < 2) return request.socket;
  const { session } = (request as unknown as Http2ServerRequest).stream;
  return (session && sessions.get(session as ServerHttp2Session)) ?? gone;
}

/** Connection of a request whose session has ended. */
const gone: Connection = { bytesRead: 0, destroy: () => {}, destroySoon: () => {}, on: () => {} };

/** Returns the stream of a response in HTTP/2; `undefined` for HTTP/1.1. */
const streamOf = (response: ServerResponse): ServerHttp2Stream | undefined =>
  (response as unknown as Partial<Http2ServerResponse>).stream;

/** Host that a request is for. HTTP/2 has it in a field of its own (RFC 9113, section 8.3.1). */
export function hostOf({ headers }: IncomingMessage): string | undefined {
  const authority = headers[":authority"];
  return typeof authority === "string" ? authority : headers.host;
}

/** Asks the client to open another connection for its next request. HTTP/2 says so for a session as a whole. */
export function leaveConnection(reply: FastifyReply): void {
  if (streamOf(reply.raw) === undefined) reply.header("connection", "close");
}

/** True when the whole response has left, and its client had not left before. */
export function isWritten(response: ServerResponse): boolean {
  const stream = streamOf(response);
  return stream === undefined
    ? response.writableFinished
    : response.writableEnded && stream.rstCode === constants.NGHTTP2_NO_ERROR;
}

/** True while a client does not read what it was sent. */
export const needsDrain = (response: ServerResponse): boolean => (streamOf(response) ?? response).writableNeedDrain;

/** Cuts a response, or its connection, when its client reads nothing for `stallMs`. 0 removes the limit. */
export function guardWriting(response: ServerResponse, stallMs: number): void {
  const stream = streamOf(response);
  if (stream === undefined) response.socket?.setTimeout(stallMs);
  // Node adds the function once for each call, and removes it with the limit.
  else if (!stream.destroyed) {
    stream.setTimeout(0, cutStalled);
    if (stallMs > 0) stream.setTimeout(stallMs, cutStalled);
  }
}

function cutStalled(this: ServerHttp2Stream): void {
  this.close(constants.NGHTTP2_CANCEL);
}

/** Ends a response of HTTP/2 as incomplete. @returns False for one of HTTP/1.1, which is untouched. */
export function cutStream(response: ServerResponse): boolean {
  const stream = streamOf(response);
  if (stream === undefined) return false;
  // The reset follows what was written before.
  if (!stream.destroyed) stream.write("", () => stream.close(constants.NGHTTP2_INTERNAL_ERROR));
  return true;
}
