import { fail } from "../failure/failures.js";
import { callApi } from "./call-api.js";
import type { Client, ClientCallOptions } from "./client-type.js";
import { type ConnectOptions, createEndpoint, type Endpoint, type RemoteApi, readRoutes } from "./endpoint.js";
import { openStream } from "./open-stream.js";
import { createTaskMethod } from "./task-method.js";

/**
 * Connects to the server of entry service `T`: reads which apis it has, and gives a method for each.
 *
 * Uses `fetch` alone, so it runs in browsers too; `T` is a type and costs nothing there:
 * `import type { Pipeline } from "./service.js"`.
 *
 * @param url Of the server, with a path in front of its routes if a proxy adds one, e.g. `"http://localhost:3000"`.
 * @throws {ServingError} `connect_failed`, `invalid_response`, `deadline_exceeded`, `cancelled`; whatever the server or
 *   something in front of it answers with. A misspelt api throws `unknown_api` when it is called.
 */
export async function connect<T>(url: string | URL, options: ConnectOptions = {}): Promise<Client<T>> {
  const endpoint = createEndpoint(url, options);
  return createClient(endpoint, await readRoutes(endpoint)) as Client<T>;
}

function createClient(endpoint: Endpoint, apis: readonly RemoteApi[]): object {
  const client: object = Object.create(createFallback(apis));
  for (const api of apis) {
    // A promise of a client would take its method `then` for a promise's.
    if (api.name === "then") continue;
    const value = createMethod(endpoint, api);
    Object.defineProperty(client, api.name, { value, enumerable: true });
  }
  return Object.freeze(client);
}

function createMethod(endpoint: Endpoint, api: RemoteApi): object {
  if (api.kind === "task") return createTaskMethod(endpoint, api);
  const send = api.kind === "stream" ? openStream : callApi;
  return (input?: unknown, options?: ClientCallOptions) => send(endpoint, api, input, options);
}

/** What every object has, and what runtimes and test runners ask of any object: these are not apis misspelt. */
const ordinary: readonly string[] = [...Object.getOwnPropertyNames(Object.prototype), "then", "toJSON", "inspect"];

/** Stands behind the client's own methods, so that only a name it does not have comes here. */
function createFallback(apis: readonly RemoteApi[]): object {
  return new Proxy(Object.prototype, {
    get: (target, name, client) => {
      if (typeof name === "symbol" || ordinary.includes(name)) return Reflect.get(target, name, client);
      return () => {
        throw fail("unknown_api", { name, known: apis.map((api) => api.name) });
      };
    },
  });
}
