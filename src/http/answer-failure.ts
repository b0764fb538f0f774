import type { FastifyReply, FastifyRequest } from "fastify";
import { fail } from "../failure/failures.js";
import { readNumber, readText } from "../failure/read-thrown.js";
import { type Code, ServingError } from "../failure/serving-error.js";
import { messageOf } from "../failure/to-serving-error.js";
import type { ApiRoute, HttpState } from "./http-state.js";
import { answerFormerTask, readFormerRequest } from "./tasks/answer-former-task.js";
import { writeFailure } from "./write-failure.js";

/** An error thrown outside of `handleRequest`, and its request. */
interface Thrown {
  readonly error: unknown;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  /** The api that the request was for, if any. */
  readonly route?: ApiRoute;
}

/** Answers with a failure that Fastify, a plugin or one of the author's routes threw. */
export function answerFailure(http: HttpState, thrown: Thrown): void {
  writeFailure(http, thrown.reply, translate(http, thrown), thrown.route);
}

function translate(http: HttpState, { error, request, route }: Thrown): unknown {
  if (error instanceof ServingError || typeof error !== "object" || error === null) return error;
  const [code, statusCode] = [readText(error, "code"), readNumber(error, "statusCode")];
  const message = messageOf(error);
  switch (code) {
    case "FST_ERR_CTP_BODY_TOO_LARGE":
      return fail("body_too_large", { maxBodyBytes: http.settings.maxBodyBytes });
    case "FST_ERR_CTP_INVALID_MEDIA_TYPE":
      return fail("unsupported_media_type", {
        contentType: request.headers["content-type"] ?? "",
        // A route of the author takes what its parsers take. Fastify keeps no list of these.
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
  return new ServingError({ code: told, httpStatus: statusCode, id: code, message, cause: error });
}

/** Codes for the statuses that plugins throw. */
const codeByStatus: Readonly<Record<number, Code>> = {
  401: "unauthenticated",
  403: "permission_denied",
  404: "not_found",
  409: "aborted",
  429: "resource_exhausted",
  503: "unavailable",
};

/** Methods by path, of every api and every route of ekiben's own. */
type KnownPaths = ReadonlyMap<string, string>;

/** Returns the path of a request, without its query. */
export const pathOf = ({ url }: FastifyRequest): string => url.split("?", 1)[0] as string;

/**
 * Answers a request that no route took: OPTIONS, a wrong method on a known path, a task whose api is gone, or an
 * unknown path.
 */
export function answerUnrouted(http: HttpState, known: KnownPaths, request: FastifyRequest, reply: FastifyReply): void {
  const { method } = request;
  const path = pathOf(request);
  const allow = known.get(path);
  if (allow === undefined) {
    const former = readFormerRequest(request);
    const answered = former === undefined ? Promise.resolve(false) : answerFormerTask(http, former, reply);
    void answered.then((isAnswered) => {
      if (!isAnswered) refuse(http, known, reply, { method, path });
    });
    return;
  }
  reply.header("allow", allow);
  if (method === "OPTIONS") reply.code(204).send();
  else writeFailure(http, reply, fail("method_not_allowed", { method, path, allow }));
}

function refuse(
  http: HttpState,
  known: KnownPaths,
  reply: FastifyReply,
  asked: { method: string; path: string },
): void {
  const apis = [...known].filter(([, methods]) => methods.startsWith("POST")).map(([route]) => `POST ${route}`);
  writeFailure(http, reply, fail("unknown_route", { ...asked, known: apis }));
}
