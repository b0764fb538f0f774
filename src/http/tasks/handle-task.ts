import type { FastifyReply } from "fastify";
import {
  createTaskId,
  operationApi,
  type SubmittedTask,
  type TaskQuery,
  type TaskState,
} from "../../call/task-state.js";
import type { TaskPath } from "../../define/task-paths.js";
import { fail } from "../../failure/failures.js";
import type { HttpCall } from "../../handle/call-target.js";
import { exchangeOf } from "../exchange.js";
import { readHeaders, readTimeout } from "../handle-request.js";
import type { ApiRoute, HttpState } from "../http-state.js";
import { eventsType } from "../media-type.js";
import { type AnswerForm, type OutputForm, pickAnswer, pickOffer } from "../output-form.js";
import { readContext } from "../read-context.js";
import { writeStream } from "../streams/write-stream.js";
import { writeFailure } from "../write-failure.js";
import { writeReply } from "../write-reply.js";
import { createSubmittedBody, createTaskBody, submittedSchema, taskSchema } from "./task-body.js";

const json = "application/json";

/** Forms in which a task's state is sent; as events, one for each change. */
const taskOutput: OutputForm = { schema: taskSchema, offers: [json, eventsType], known: new Map() };
export const submittedOutput: OutputForm = { schema: submittedSchema, offers: [json], known: new Map() };
const eventsOutput: OutputForm = { ...taskOutput, offers: [eventsType] };

/** One request about a task. */
interface TaskRequest {
  readonly http: HttpState;
  readonly route: ApiRoute;
  readonly reply: FastifyReply;
  readonly path: string;
  readonly id: string;
  readonly form: AnswerForm;
}

/**
 * Serves a request about one task of an api, named by `?task_id=`. Never throws.
 *
 * @param what Any operation but `submit`, which has a body and is read like any call.
 */
export function handleTask(
  http: HttpState,
  route: ApiRoute,
  what: Exclude<TaskPath, "submit">,
  reply: FastifyReply,
): void {
  const path = `${route.path}/${what}`;
  const exchange = exchangeOf(reply);
  exchange.route = path;
  try {
    if (http.isClosing) throw fail("draining", { what: route.service });
    const output = what === "get" ? route.output : what === "status" ? taskOutput : submittedOutput;
    const { headers } = reply.request;
    exchange.context.setHeaders(readHeaders(headers));
    const form = pickAnswer(output, headers.accept);
    const request = { http, route, reply, path, id: readTaskId(reply), form };
    readContext(http, exchange, route, () => {
      exchange.hasCalled = true;
      answer(request, what);
    });
  } catch (error) {
    writeFailure(http, reply, error, route);
  }
}

/** Answers a request about a task. Never throws. */
function answer(request: TaskRequest, what: Exclude<TaskPath, "submit">): void {
  const { http, reply, route } = request;
  try {
    answerBy(request, what);
  } catch (error) {
    writeFailure(http, reply, error, route);
  }
}

function answerBy(request: TaskRequest, what: Exclude<TaskPath, "submit">): void {
  const { id, form } = request;
  switch (what) {
    case "get":
      ask(request, "result", { id, waits: wantsToWait(request.reply) }, (value) => value);
      return;
    case "status":
      if (pickOffer(form, taskOutput.offers) === eventsType) follow(request);
      else ask(request, "status", { id }, (state) => createTaskBody(state as TaskState));
      return;
    case "cancel":
      ask(request, "cancel", { id }, (state) => createTaskBody(state as TaskState));
      return;
    case "retry":
      ask(request, "retry", { id, newId: createTaskId() }, (task) => createSubmittedBody(task as SubmittedTask));
  }
}

type Asked = "result" | "status" | "cancel" | "retry";

function ask(request: TaskRequest, operation: Asked, query: TaskQuery, toBody: (value: unknown) => unknown): void {
  const { http, route, reply, form } = request;
  const refuse = (error: unknown) => writeFailure(http, reply, error, route);
  const output = (value: unknown): void => {
    try {
      writeReply(http, reply, toBody(value), form)?.catch(refuse);
    } catch (error) {
      refuse(error);
    }
  };
  const call = createCall(request, query);
  exchangeOf(reply).follow(http.caller.call(operationApi(route.name, operation), call, { output, failure: refuse }));
}

/** Sends a server-sent event each time the task changes; the last one says how it ended. */
function follow(request: TaskRequest): void {
  const { http, route, reply, id, form } = request;
  const { scope, items } = http.caller.open(operationApi(route.name, "watch"), createCall(request, { id }));
  exchangeOf(reply).follow(scope);
  const toItem = (state: unknown) => createTaskBody(state as TaskState);
  writeStream(http, reply, { items, toItem, form, output: eventsOutput, api: route });
}

function createCall({ reply, path }: TaskRequest, query: TaskQuery): HttpCall {
  const timeoutMs = readTimeout(reply.request.headers["ekiben-timeout-ms"]);
  return { input: query, route: path, request: exchangeOf(reply).context, timeoutMs, priority: undefined };
}

const queryOf = (reply: FastifyReply) => (reply.request.query ?? {}) as Record<string, unknown>;

function readTaskId(reply: FastifyReply): string {
  const id = queryOf(reply)["task_id"];
  if (typeof id !== "string" || id === "") throw fail("task_id_missing", { parameter: "task_id" });
  return id;
}

const wantsToWait = (reply: FastifyReply): boolean =>
  ["", "1", "true"].includes(String(queryOf(reply)["wait"] ?? "no"));
