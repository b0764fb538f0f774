import type { FastifyReply, FastifyRequest } from "fastify";
import { taskPaths } from "../../define/task-paths.js";
import { fail } from "../../failure/failures.js";
import { exchangeOf } from "../exchange.js";
import { readHeaders } from "../handle-request.js";
import type { FormerTask, HttpState } from "../http-state.js";
import { type OutputForm, pickAnswer } from "../output-form.js";
import { readContext } from "../read-context.js";
import { writeFailure } from "../write-failure.js";
import { writeReply } from "../write-reply.js";
import { createTaskBody } from "./task-body.js";

type Asked = "status" | "get" | "cancel" | "retry";

/** A request that may be about a task whose api is gone: at the path that the api had. */
interface FormerRequest {
  readonly what: Asked;
  readonly api: string;
  readonly id: string;
}

/** The output of an api whose contract is no longer known. */
const anyOutput: OutputForm = { schema: {}, offers: ["application/json", "*/*"], known: new Map() };

/** Returns the question about a task in a request that no route took; `undefined` when it asks about none. */
export function readFormerRequest({ method, url, query }: FastifyRequest): FormerRequest | undefined {
  const [path = ""] = url.split("?", 1);
  const [, api, what] = /([^/]+)\/(status|get|cancel|retry)$/.exec(path) ?? [];
  const id = (query as Record<string, unknown> | undefined)?.["task_id"];
  if (api === undefined || typeof id !== "string" || taskPaths[what as Asked] !== method) return undefined;
  return { what: what as Asked, api, id };
}

/**
 * Answers a request about a task whose api is gone: the task was accepted and may have a result. Never throws.
 *
 * @returns False when there is no such task; nothing was sent then. Never resolves when the request is refused before
 *   that, and thus answered.
 */
export async function answerFormerTask(http: HttpState, asked: FormerRequest, reply: FastifyReply): Promise<boolean> {
  try {
    if (http.context !== undefined) await admit(http, asked, reply);
    const task = await http.findFormerTask?.(asked.id);
    if (task === undefined || task.api !== asked.api) return false;
    exchangeOf(reply).hasCalled = true;
    const form = pickAnswer(anyOutput, reply.request.headers.accept);
    await writeReply(http, reply, await answer(task, asked), form);
  } catch (error) {
    writeFailure(http, reply, error);
  }
  return true;
}

/** Resolves when the app lets the request in. */
function admit(http: HttpState, { api, what }: FormerRequest, reply: FastifyReply): Promise<void> {
  const exchange = exchangeOf(reply);
  exchange.context.setHeaders(readHeaders(reply.request.headers));
  const place = { service: "", name: api, path: `/${api}/${what}` };
  return new Promise((resolve) => readContext(http, exchange, place, resolve));
}

async function answer(task: FormerTask, { what, id }: FormerRequest): Promise<unknown> {
  switch (what) {
    case "status":
      return createTaskBody(task.state);
    case "get":
      return task.result();
    case "cancel":
      return createTaskBody(await task.cancel());
    case "retry": {
      const { service, api, state } = task;
      throw fail("task_api_gone", { taskId: id, api: `${service}.${api}`, status: state.status }, { service, api });
    }
  }
}
