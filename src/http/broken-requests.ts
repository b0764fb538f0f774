import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { fail } from "../failure/fail.js";
import type { ServingError } from "../failure/serving-error.js";

/** Bounds that a request broke before it was one. */
export interface HeaderLimits {
  readonly maxHeaderBytes: number;
  readonly headersTimeoutMs: number;
}

/** Answers what never became a request (node's `clientError`) with a failure body, and closes the connection. */
export function answerBrokenRequest(
  error: Error & { code?: string; bytesParsed?: number },
  socket: Socket,
  limits: HeaderLimits,
): void {
  if (awaited.has(socket)) return;
  const response = responseOf(socket);
  if (response?.req.complete && error.code !== "ECONNRESET" && socket.writable) {
    // The requests before it are answered first, each with its own answer.
    awaited.add(socket);
    response.once("close", () => {
      awaited.delete(socket);
      answerBrokenRequest(error, socket, limits);
    });
    return;
  }
  // Who has asked nothing would take an answer for that to its next question.
  const isSilent = socket.bytesRead === 0;
  // A response that is under way can't be followed by another.
  if (error.code === "ECONNRESET" || !socket.writable || isSilent || response?.headersSent) {
    socket.destroy(error);
    return;
  }
  const failure = toFailure(error, limits);
  const { code, id, details } = failure;
  const body = JSON.stringify({ error: failure.message, code, id, service: "", api: "", details, requestId: "" });
  socket.end(
    `HTTP/1.1 ${failure.httpStatus} ${reasons[failure.httpStatus] ?? "Bad Request"}\r\n` +
      "content-type: application/json; charset=utf-8\r\n" +
      `content-length: ${Buffer.byteLength(body)}\r\n` +
      `connection: close\r\n\r\n${body}`,
  );
}

/** Connections whose broken request waits for the requests before it; what comes after it means nothing. */
const awaited = new WeakSet<Socket>();

/** The response that is being written on a connection, or comes next. */
const responseOf = (socket: Socket) => (socket as Socket & { _httpMessage?: ServerResponse | null })._httpMessage;

function toFailure(error: Error & { code?: string; reason?: string }, limits: HeaderLimits): ServingError {
  switch (error.code) {
    case "HPE_HEADER_OVERFLOW":
      return fail("header_too_large", { maxHeaderBytes: limits.maxHeaderBytes });
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return fail("header_timeout", { timeoutMs: limits.headersTimeoutMs });
    default:
      return fail("malformed_request", { problem: error.reason ?? error.message });
  }
}

const reasons: Readonly<Record<number, string>> = {
  400: "Bad Request",
  408: "Request Timeout",
  431: "Request Header Fields Too Large",
};
