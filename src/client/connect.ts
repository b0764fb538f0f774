import { fail } from "../failure/client-failures.js";
import { callApi, holdInput } from "./call-api.js";
import type { CallLimit } from "./call-limit.js";
import type { Client, ClientCallOptions } from "./client-type.js";
import {
  type ConnectOptions,
  createEndpoint,
  createLimit,
  type Endpoint,
  type RemoteApi,
  readRoutes,
  retriesOf,
  type StartedOptions,
  schemaPath,
} from "./endpoint.js";
import { openStream } from "./open-stream.js";
import { repeatCall } from "./repeat-call.js";
import { createTaskMethod } from "./task-method.js";

/**
 * Connects to the server of entry service `T`: reads its list of apis and creates a method for each.
 *
 * Uses `fetch` alone, so it also runs in browsers. `T` is a type and costs nothing there: `import type { Pipeline }
 * from "./service.js"`.
 *
 * @param url Address of the server, with a path before its routes if a proxy adds one, e.g.
 *   `"http://localhost:3000"`.
 * @throws {ServingError} `connect_failed`, `invalid_response`, `deadline_exceeded`, `cancelled`; any failure that the
 *   server or a proxy before it answers with. A misspelt api throws `unknown_api` when it is called.
 */
export async function connect<T>(url: string | URL, options: ConnectOptions = {}): Promise<Client<T>> {
  return (await readMethods(url, options)) as Client<T>;
}

/**
 * Creates a client of entry service `T` that connects at its first call: `export const pipeline =
 * client<Pipeline>("http://localhost:3000")`.
 *
 * The list of apis is read once. While it can't be read, each call fails with the reason, and the next call tries
 * again. A stream and a misspelt api fail when they are read, as the list is not known before.
 *
 * @param url As for `connect()`. An address that is no URL fails at the first call.
 */
export function client<T>(url: string | URL, options: ConnectOptions = {}): Client<T> {
  return createLateObject(new LateMethods(url, options), []) as Client<T>;
}

/** Methods by name of api. */
type Methods = Readonly<Record<string, unknown>>;

async function readMethods(url: string | URL, options: ConnectOptions, signal?: AbortSignal): Promise<Methods> {
  const endpoint = createEndpoint(url, options);
  const place = { service: endpoint.base + schemaPath, api: "" };
  const limit = createLimit(endpoint, place, signal && { signal });
  try {
    const rules = { retries: retriesOf(endpoint), limit, place, isIdempotent: true };
    return createMethods(endpoint, await repeatCall(() => readRoutes(endpoint, limit), rules));
  } finally {
    limit.release();
  }
}

function createMethods(endpoint: Endpoint, apis: readonly RemoteApi[]): Methods {
  const methods: Methods = Object.create(createFallback(apis));
  for (const api of apis) {
    // `await` on a client would take a method `then` for a promise's.
    if (api.name === "then") continue;
    const value = createMethod(endpoint, api);
    Object.defineProperty(methods, api.name, { value, enumerable: true });
  }
  return Object.freeze(methods);
}

function createMethod(endpoint: Endpoint, api: RemoteApi): object {
  if (api.kind === "task") return createTaskMethod(endpoint, api);
  const send = api.kind === "stream" ? openStream : callApi;
  return (input?: unknown, options?: ClientCallOptions) => send(endpoint, api, input, options);
}

/**
 * Names that every object has, or that runtimes and test runners look up on any object: these are not misspelt apis.
 */
const ordinary: readonly string[] = [...Object.getOwnPropertyNames(Object.prototype), "then", "toJSON", "inspect"];

/** Creates the prototype of the methods, which is asked only for names that the server does not have. */
function createFallback(apis: readonly RemoteApi[]): object {
  return new Proxy(Object.prototype, {
    get: (target, name, methods) => {
      if (typeof name === "symbol" || ordinary.includes(name)) return Reflect.get(target, name, methods);
      return () => {
        throw fail("unknown_api", { name, known: apis.map((api) => api.name) });
      };
    },
  });
}

/** Way to a function of a client: `["predict"]`, or `["train", "submit"]`. */
type Path = readonly string[];

/**
 * Creates a client, or a function of one, before the server's apis are known. A function has every name as a
 * property, since it may be a task's.
 */
function createLateObject(methods: LateMethods, path: Path): object {
  const known = new Map<string, object>();
  const target = path.length === 0 ? {} : (...args: readonly unknown[]) => methods.call(path, args);
  return new Proxy(Object.freeze(target), {
    get: (own, name) => {
      const isOwn = typeof name === "symbol" || name in own || name === "then" || name === "toJSON";
      if (isOwn || path.length === 2) return Reflect.get(own, name);
      const found = known.get(name) ?? createLateObject(methods, [...path, name]);
      known.set(name, found);
      return found;
    },
  });
}

/** One attempt to read the list of apis, for all calls that wait for it. */
interface Opening {
  readonly methods: Promise<Methods>;
  readonly stop: AbortController;
  waiting: number;
}

/** Methods of a client that connects at its first call. */
class LateMethods {
  readonly #url: string | URL;
  readonly #options: ConnectOptions;
  #methods: Methods | undefined;
  #opening: Opening | undefined;

  constructor(url: string | URL, options: ConnectOptions) {
    this.#url = url;
    this.#options = options;
  }

  /** Calls a function: at once when the apis are known, otherwise after they have been read. */
  call(path: Path, args: readonly unknown[]): unknown {
    if (this.#methods !== undefined) return callMethod(this.#methods, path, args);
    const [input, options] = args as [unknown, ClientCallOptions?];
    const started: StartedOptions = { ...options, startedAt: performance.now() };
    const methods = this.#open(started);
    const held = holdInput(input);
    const answer = methods.then((found) => callMethod(found, path, [held, started]));
    // The reader of a stream is told of it when it asks for an item.
    methods.catch(() => answer.catch(() => {}));
    return Object.defineProperty(answer, Symbol.asyncIterator, { value: () => readLateStream(answer) });
  }

  async #open(options: StartedOptions): Promise<Methods> {
    const place = { service: String(this.#url), api: "" };
    const limit = createLimit({ options: this.#options }, place, options);
    try {
      return await this.#wait((this.#opening ??= this.#begin()), limit);
    } finally {
      limit.release();
    }
  }

  #begin(): Opening {
    const stop = new AbortController();
    const opening: Opening = { methods: readMethods(this.#url, this.#options, stop.signal), stop, waiting: 0 };
    opening.methods.then(
      (methods) => (this.#methods = methods),
      () => this.#forget(opening),
    );
    return opening;
  }

  async #wait(opening: Opening, limit: CallLimit): Promise<Methods> {
    opening.waiting++;
    try {
      return await limit.guard(opening.methods);
    } finally {
      opening.waiting--;
      // A server that never answers must not hold the calls that come later.
      if (opening.waiting === 0 && this.#methods === undefined) {
        this.#forget(opening);
        opening.stop.abort();
      }
    }
  }

  #forget(opening: Opening): void {
    if (this.#opening === opening) this.#opening = undefined;
  }
}

function callMethod(methods: Methods, path: Path, args: readonly unknown[]): unknown {
  const [name = "", operation] = path;
  const method = methods[name];
  const found = operation === undefined ? method : (method as Methods)[operation];
  if (typeof found === "function") return found(...args);
  throw fail("unknown_api", { name: path.join("."), known: Object.keys(methods) });
}

/** Reads a stream that is opened once the apis are known. */
function readLateStream(opened: Promise<unknown>): AsyncIterator<unknown> {
  // `next` throws the failure.
  opened.catch(() => {});
  let items: Promise<AsyncIterator<unknown>> | undefined;
  const open = () => (items ??= opened.then((stream) => (stream as AsyncIterable<unknown>)[Symbol.asyncIterator]()));
  return {
    next: async () => (await open()).next(),
    return: async () => {
      const found = await open().catch(() => undefined);
      return (await found?.return?.()) ?? { done: true, value: undefined };
    },
  };
}
