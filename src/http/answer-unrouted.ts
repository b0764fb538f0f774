import type { FastifyReply, FastifyRequest } from "fastify";
import { fail } from "../failure/fail.js";
import type { Edge } from "./edge.js";
import { answerFormerTask, readFormerRequest } from "./tasks/answer-former-task.js";
import { writeFailure } from "./write-failure.js";

/** Which methods each path of this server answers, by path; apis and ekiben's own routes. */
export type KnownPaths = ReadonlyMap<string, string>;

/** The path of a request, without its query. */
export const pathOf = ({ url }: FastifyRequest): string => url.split("?", 1)[0] as string;

/** Answers a request that no route took: OPTIONS, a wrong method on a known path, a task whose api is gone, or nothing there at all. */
export function answerUnrouted(edge: Edge, known: KnownPaths, request: FastifyRequest, reply: FastifyReply): void {
  const { method } = request;
  const path = pathOf(request);
  const allow = known.get(path);
  if (allow === undefined) {
    const former = readFormerRequest(request);
    const answered = former === undefined ? Promise.resolve(false) : answerFormerTask(edge, former, reply);
    void answered.then((isAnswered) => {
      if (!isAnswered) refuse(edge, known, reply, { method, path });
    });
    return;
  }
  reply.header("allow", allow);
  if (method === "OPTIONS") reply.code(204).send();
  else writeFailure(edge, reply, fail("method_not_allowed", { method, path, allow }));
}

function refuse(edge: Edge, known: KnownPaths, reply: FastifyReply, asked: { method: string; path: string }): void {
  const apis = [...known].filter(([, methods]) => methods.startsWith("POST")).map(([route]) => `POST ${route}`);
  writeFailure(edge, reply, fail("unknown_route", { ...asked, known: apis }));
}
