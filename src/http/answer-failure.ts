import type { FastifyReply, FastifyRequest } from "fastify";
import { fail } from "../failure/fail.js";
import { ServingError } from "../failure/serving-error.js";
import type { Edge } from "./edge.js";
import { writeFailure } from "./write-failure.js";

/** Answers what Fastify, a plugin or the author's own route threw. */
export function answerFailure(edge: Edge, error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  writeFailure(edge, reply, translate(edge, error, request));
}

function translate(edge: Edge, error: unknown, request: FastifyRequest): unknown {
  if (error instanceof ServingError) return error;
  const { code, statusCode, message } = error as { code?: string; statusCode?: number; message?: string };
  switch (code) {
    case "FST_ERR_CTP_BODY_TOO_LARGE":
      return fail("body_too_large", { maxBodyBytes: edge.settings.maxBodyBytes });
    case "FST_ERR_CTP_INVALID_MEDIA_TYPE":
      return fail("unsupported_media_type", { contentType: request.headers["content-type"] ?? "", accepted: [] });
    case "FST_ERR_BAD_URL":
      return fail("malformed_request", { problem: "the path is not validly percent-encoded" });
  }
  if (statusCode === undefined || statusCode < 400 || statusCode >= 500) return error;
  return new ServingError({ code: "invalid_argument", httpStatus: statusCode, id: code, message: String(message) });
}
