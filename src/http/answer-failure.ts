import type { FastifyReply, FastifyRequest } from "fastify";
import type { Code } from "../failure/codes.js";
import { fail } from "../failure/fail.js";
import { readNumber, readText } from "../failure/read-thrown.js";
import { ServingError } from "../failure/serving-error.js";
import { messageOf } from "../failure/to-serving-error.js";
import type { ApiRoute } from "./api-route.js";
import type { Edge } from "./edge.js";
import { writeFailure } from "./write-failure.js";

/** What was thrown outside of `handleRequest`, and for which request. */
export interface Thrown {
  readonly error: unknown;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  /** The api it was for, if it was for one. */
  readonly route?: ApiRoute;
}

/** Answers what Fastify, a plugin or the author's own route threw. */
export function answerFailure(edge: Edge, thrown: Thrown): void {
  writeFailure(edge, thrown.reply, translate(edge, thrown), thrown.route);
}

function translate(edge: Edge, { error, request, route }: Thrown): unknown {
  if (error instanceof ServingError || typeof error !== "object" || error === null) return error;
  const [code, statusCode] = [readText(error, "code"), readNumber(error, "statusCode")];
  const message = messageOf(error);
  switch (code) {
    case "FST_ERR_CTP_BODY_TOO_LARGE":
      return fail("body_too_large", { maxBodyBytes: edge.settings.maxBodyBytes });
    case "FST_ERR_CTP_INVALID_MEDIA_TYPE":
      return fail("unsupported_media_type", {
        contentType: request.headers["content-type"] ?? "",
        // A route of the author's takes what its parsers take, of which Fastify keeps no list.
        ...(route && { accepted: route.input.contentTypes }),
      });
    case "FST_ERR_CTP_INVALID_JSON_BODY":
    case "FST_ERR_CTP_EMPTY_JSON_BODY":
      return fail("invalid_json", { problem: message });
    case "FST_ERR_BAD_URL":
      return fail("malformed_request", { problem: "the path is not validly percent-encoded" });
  }
  if (statusCode === undefined || statusCode < 400 || (statusCode >= 500 && statusCode !== 503)) return error;
  const told = codeByStatus[statusCode] ?? "invalid_argument";
  return new ServingError({ code: told, httpStatus: statusCode, id: code, message: message, cause: error });
}

/** What plugins mean by the statuses they throw. */
const codeByStatus: Readonly<Record<number, Code>> = {
  401: "unauthenticated",
  403: "permission_denied",
  404: "not_found",
  409: "aborted",
  429: "resource_exhausted",
  503: "unavailable",
};
