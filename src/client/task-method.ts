import { followStates } from "../base/follow-states.js";
import type { TaskFailure, TaskState } from "../call/task-state.js";
import type { SubmitOptions } from "../define/handle-type.js";
import { type TaskPath, taskPath, taskPaths } from "../define/task-paths.js";
import { fail } from "../failure/client-failures.js";
import { ServingError } from "../failure/serving-error.js";
import { acceptOf, callApi, placeOf, prepareCall, readAnswer } from "./call-api.js";
import type { CallLimit } from "./call-limit.js";
import type { ClientCallOptions } from "./client-type.js";
import { createLimit, cutOff, type Endpoint, type RemoteApi, readText, retriesOf, sendRequest } from "./endpoint.js";
import { readEvent, readEvents, readInCall } from "./open-stream.js";
import { repeatCall } from "./repeat-call.js";

type Options = ClientCallOptions | undefined;

/** Creates the method of a task. Calling it waits for the result; the operations on a task are methods of it. */
export function createTaskMethod(endpoint: Endpoint, api: RemoteApi): object {
  const ask = <T>(what: TaskPath, query: string, read: (body: Record<string, unknown>) => T, options: Options) =>
    withLimit(endpoint, api, options, (limit) => {
      const run = async () => {
        const response = await send(endpoint, limit, { api, what, query, options, accept: "application/json" });
        const url = endpoint.base + taskPath(api.route, what);
        return readBody(await readText(response, limit, url), url, read);
      };
      return repeatCall(run, rulesOf(limit, options, what !== "retry"));
    });
  const rulesOf = (limit: CallLimit, options: Options, isIdempotent: boolean) => ({
    ...{ retries: retriesOf(endpoint, options), limit, isIdempotent },
    place: placeOf(api),
  });
  const task = (input?: unknown, options?: ClientCallOptions & SubmitOptions) => callApi(endpoint, api, input, options);
  return Object.assign(task, {
    submit: (input?: unknown, options: ClientCallOptions & SubmitOptions = {}) =>
      withLimit(endpoint, api, options, async (limit) => {
        const route = taskPath(api.route, "submit");
        const posting = { api: { ...api, route }, input, options, accept: "application/json" };
        const { sending, ...rules } = await prepareCall(endpoint, limit, posting);
        return repeatCall(async () => {
          const response = await sendRequest(endpoint, limit, sending);
          return readBody(await readText(response, limit, endpoint.base + route), endpoint.base + route, readId);
        }, rules);
      }),
    status: (id: string, options?: ClientCallOptions) => ask("status", queryOf(id), readState, options),
    watch: (id: string, options?: ClientCallOptions) => watchTask(endpoint, api, id, options),
    cancel: (id: string, options?: ClientCallOptions) => ask("cancel", queryOf(id), readState, options),
    retry: (id: string, options?: ClientCallOptions) => ask("retry", queryOf(id), readId, options),
    result: (id: string, options?: ClientCallOptions) =>
      withLimit(endpoint, api, options, (limit) => {
        const sending = {
          api,
          what: "get",
          query: `${queryOf(id)}&wait=true`,
          options,
          accept: acceptOf(api),
        } as const;
        const run = async () => {
          const response = await send(endpoint, limit, sending);
          return readAnswer(response, limit, api, endpoint.base + taskPath(api.route, "get"));
        };
        return repeatCall(run, rulesOf(limit, options, true));
      }),
  });
}

/** Follows one task, over one connection after the other while connections are lost. */
function watchTask(endpoint: Endpoint, api: RemoteApi, id: string, options: Options): AsyncIterableIterator<TaskState> {
  const url = endpoint.base + taskPath(api.route, "status");
  return readInCall(endpoint, api, options, (limit) =>
    followStates<TaskState>({
      open: async function* () {
        const accept = "text/event-stream, application/json; q=0.5";
        const response = await send(endpoint, limit, { api, what: "status", query: queryOf(id), options, accept });
        for await (const event of readEvents(response, limit, url))
          yield readBody(readEvent(event, url), url, readState);
      },
      isLast: ({ endedAt }) => endedAt !== undefined,
      isPassing: (error) => limit.reason === undefined && error instanceof ServingError && error.code === "unavailable",
      cutOff: () => cutOff(url),
      pause: (ms) => limit.pause(ms),
    }),
  );
}

const queryOf = (id: string): string => `?task_id=${encodeURIComponent(id)}`;

interface TaskSending {
  readonly api: RemoteApi;
  readonly what: TaskPath;
  readonly query: string;
  readonly options: Options;
  readonly accept: string;
}

function send(
  endpoint: Endpoint,
  limit: CallLimit,
  { api, what, query, options, accept }: TaskSending,
): Promise<Response> {
  return sendRequest(endpoint, limit, {
    method: taskPaths[what],
    path: taskPath(api.route, what) + query,
    headers: { accept },
    callHeaders: options?.headers,
    place: placeOf(api),
  });
}

async function withLimit<T>(
  endpoint: Endpoint,
  api: RemoteApi,
  options: Options,
  run: (limit: CallLimit) => Promise<T>,
): Promise<T> {
  const limit = createLimit(endpoint, placeOf(api), options);
  try {
    return await run(limit);
  } finally {
    limit.release();
  }
}

function readBody<T>(text: string, url: string, read: (body: Record<string, unknown>) => T): T {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw fail("invalid_response", { url, problem: "it is not JSON" });
  }
  if (typeof body !== "object" || body === null || typeof (body as { task_id?: unknown }).task_id !== "string") {
    throw fail("invalid_response", { url, problem: "it names no task" });
  }
  return read(body as Record<string, unknown>);
}

const readId = (body: Record<string, unknown>) => ({ id: String(body["task_id"]) });

function readState(body: Record<string, unknown>): TaskState {
  const { task_id, status, attempt, progress, note, failure, cancel_asked, held, gone_api } = body;
  const [createdAt, startedAt, endedAt, notBefore] = ["created_at", "executed_at", "ended_at", "not_before"].map(
    (field) => readTime(body[field]),
  );
  return {
    id: String(task_id),
    status: status as TaskState["status"],
    attempt: Number(attempt ?? 0),
    createdAt: createdAt ?? new Date(Number.NaN),
    ...(startedAt !== undefined && { startedAt }),
    ...(endedAt !== undefined && { endedAt }),
    ...(notBefore !== undefined && { notBefore }),
    ...(typeof progress === "number" && { progress }),
    ...(typeof note === "string" && { note }),
    ...(typeof failure === "object" &&
      failure !== null && { failure: readTaskFailure(failure as Record<string, unknown>) }),
    ...(cancel_asked === true && { isCancelAsked: cancel_asked }),
    ...(held === true && { isHeld: held }),
    ...(typeof gone_api === "string" && { goneApi: gone_api }),
  };
}

const readTime = (value: unknown): Date | undefined => (typeof value === "string" ? new Date(value) : undefined);

function readTaskFailure({ error, code, id, service, api, incident }: Record<string, unknown>): TaskFailure {
  return {
    code: String(code),
    id: String(id),
    message: String(error),
    service: String(service),
    api: String(api),
    ...(typeof incident === "string" && { incident }),
  };
}
