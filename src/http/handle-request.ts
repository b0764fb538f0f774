import type { FastifyReply, FastifyRequest } from "fastify";
import type { Priority } from "../call/call.js";
import { createTaskId, operationApi, type SubmittedTask, type TaskSubmission } from "../call/task-state.js";
import { fail } from "../failure/failures.js";
import type { ServingError } from "../failure/serving-error.js";
import type { AnswerTaker, HttpCall, PendingStream } from "../handle/call-target.js";
import { type Exchange, exchangeOf } from "./exchange.js";
import type { ApiRoute, HttpState } from "./http-state.js";
import { type AnswerForm, pickAnswer } from "./output-form.js";
import { type BodyHandler, readBody } from "./read-body.js";
import { readContext } from "./read-context.js";
import { PacedItems, readItems } from "./streams/body-items.js";
import { writeStream } from "./streams/write-stream.js";
import { createSubmittedBody } from "./tasks/task-body.js";
import { writeFailure } from "./write-failure.js";
import { writeReply } from "./write-reply.js";

/**
 * Serves one request for an api: reads its input, calls the entry service, writes the answer. Never throws.
 *
 * Every check that needs no call is made before the call.
 */
export function handleRequest(http: HttpState, route: ApiRoute, reply: FastifyReply): void {
  const exchange = exchangeOf(reply);
  exchange.route = route.path;
  const { request } = reply;
  try {
    if (http.isClosing) throw fail("draining", { what: route.service });
    const { headers } = request;
    exchange.context.setHeaders(readHeaders(headers));
    const form = pickAnswer(route.output, headers.accept);
    const timeoutMs = readTimeout(headers["ekiben-timeout-ms"]);
    const priority = readPriority(headers["ekiben-priority"]);
    const receiver = new ApiRequest(http, exchange, { route, form, timeoutMs, priority });
    if (http.context === undefined) readInput(http, exchange, route, receiver);
    else {
      // The path of a submit is another one: a guard by route must see the api's own.
      const asked = { service: route.service, name: route.name, path: route.descriptor.route };
      readContext(http, exchange, asked, () => readInput(http, exchange, route, receiver));
    }
  } catch (error) {
    writeFailure(http, reply, error, route);
  }
}

function readInput(http: HttpState, exchange: Exchange, route: ApiRoute, receiver: BodyHandler): void {
  let items: ReturnType<typeof readItems>;
  try {
    items = route.input.kind === "stream" ? readItems(http, exchange, route) : undefined;
  } catch (error) {
    receiver.refuse(error);
    return;
  }
  if (items === undefined) readBody(http, { route, request: exchange.reply.request, receiver });
  else receiver.receive(items);
}

/** Creates the handler of an api's own path. */
export const createRequestHandler =
  (http: HttpState, route: ApiRoute) =>
  (_: FastifyRequest, reply: FastifyReply): void =>
    handleRequest(http, route, reply);

/** Facts that a request's headers give, besides its input. */
interface Asked {
  readonly route: ApiRoute;
  readonly form: AnswerForm;
  readonly timeoutMs: number | undefined;
  readonly priority: Priority | undefined;
}

/** Carries one request from its input to its answer. */
class ApiRequest implements BodyHandler, AnswerTaker {
  readonly #http: HttpState;
  readonly #exchange: Exchange;
  readonly #asked: Asked;

  constructor(http: HttpState, exchange: Exchange, asked: Asked) {
    this.#http = http;
    this.#exchange = exchange;
    this.#asked = asked;
  }

  receive(body: unknown): void {
    const { revive, kind } = this.#asked.route.input;
    let input: unknown;
    try {
      input = revive === undefined || kind === "stream" ? body : revive(body);
    } catch (error) {
      // A schema of the author's may throw, and a deep value may overflow the stack.
      this.refuse(error);
      return;
    }
    if (input instanceof Promise) {
      input.then(
        (revived) => this.#call(revived),
        (error) => this.refuse(error),
      );
    } else {
      this.#call(input);
    }
  }

  #call(body: unknown): void {
    if (this.#exchange.isEnded) return;
    const { route, timeoutMs, priority } = this.#asked;
    const { context } = this.#exchange;
    this.#exchange.hasCalled = true;
    const isList = route.input.kind === "stream" && Array.isArray(body);
    const input = isList ? new PacedItems(body, route.input.revive) : body;
    const call: HttpCall = { input, route: route.path, request: context, timeoutMs, priority };
    try {
      if (route.kind === "stream") this.#stream(this.#http.caller.open(route.name, call));
      else if (route.kind === "task") this.#submit(call);
      else this.#exchange.follow(this.#http.caller.call(route.name, call, this));
    } catch (error) {
      this.refuse(error);
    }
  }

  refuse(error: unknown): void {
    writeFailure(this.#http, this.#exchange.reply, error, this.#asked.route);
  }

  /** Writes the output, or has taken all of its data, before this returns: it may be the author's own object. */
  output(value: unknown): void {
    const { form, route } = this.#asked;
    const body = route.kind === "task" && route.submits ? createSubmittedBody(value as SubmittedTask) : value;
    try {
      if (route.status !== undefined) this.#exchange.reply.code(route.status);
      const written = writeReply(this.#http, this.#exchange.reply, body, form);
      written?.catch((error) => this.refuse(error));
    } catch (error) {
      this.refuse(error);
    }
  }

  failure(error: ServingError): void {
    this.refuse(error);
  }

  /** Gives a task its id. Its api then waits for the result, or only accepts the task at `…/submit`. */
  #submit(call: HttpCall): void {
    const { name, submits } = this.#asked.route;
    const { "idempotency-key": key, "ekiben-delay-ms": delay } = this.#exchange.reply.request.headers;
    const named = { ...(key !== undefined && { key: String(key) }), ...(delay !== undefined && readDelay(delay)) };
    const submission: TaskSubmission = { id: createTaskId(), input: call.input, ...named };
    const api = submits ? operationApi(name, "submit") : name;
    this.#exchange.follow(this.#http.caller.call(api, { ...call, input: submission }, this));
  }

  #stream({ scope, items }: PendingStream): void {
    this.#exchange.follow(scope);
    const { route, form } = this.#asked;
    if (route.status !== undefined) this.#exchange.reply.code(route.status);
    const answer = { items, form, output: route.output, api: route };
    writeStream(this.#http, this.#exchange.reply, answer);
  }
}

const timeoutForm = /^[1-9]\d{0,14}$/;

/** Returns the client's own timeout in milliseconds. @throws {ServingError} `invalid_header`. */
export function readTimeout(value: string | string[] | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value === "string" && timeoutForm.test(value)) return Number(value);
  throw fail("invalid_header", {
    header: "ekiben-timeout-ms",
    value: String(value),
    expected: "a whole number of milliseconds, at least 1",
  });
}

/** Reads the delay of a task. Its bounds are those of `submit`. @throws {ServingError} `invalid_header`. */
function readDelay(value: string | string[]): Pick<TaskSubmission, "delayMs"> {
  if (typeof value === "string" && /^\d{1,15}$/.test(value)) return { delayMs: Number(value) };
  const expected = "a whole number of milliseconds";
  throw fail("invalid_header", { header: "ekiben-delay-ms", value: String(value), expected });
}

function readPriority(value: string | string[] | undefined): Priority | undefined {
  if (value === undefined || value === "interactive" || value === "background") return value;
  throw fail("invalid_header", {
    header: "ekiben-priority",
    value: String(value),
    expected: '"interactive" or "background"',
  });
}

type Headers = Readonly<Record<string, string>>;

/**
 * Returns the headers of a request as its api and the services below see them: after the author's hooks, as texts
 * under lower-case names, in an object of their own.
 *
 * A header that came or was set more than once is one text, its values joined by commas.
 *
 * @throws {ServingError} `header_not_text` for a value set by a hook that can't be a header.
 */
export function readHeaders(given: Readonly<Record<string, unknown>>): Headers {
  const headers: Record<string, string> = {};
  for (const name in given) {
    const value = given[name];
    if (typeof value === "string") headers[name.toLowerCase()] = value;
    // A name set in upper case may replace a header that came. Removing it under either spelling removes it.
    else if (value === undefined || value === null) delete headers[name.toLowerCase()];
    else headers[name.toLowerCase()] = toText(name, value);
  }
  return Object.freeze(headers);
}

function toText(name: string, value: unknown): string {
  if (Array.isArray(value)) return value.map((item) => toText(name, item)).join(", ");
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean" || typeof value === "bigint") return String(value);
  throw fail("header_not_text", { header: name, type: typeof value });
}
