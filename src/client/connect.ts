import { fail } from "../failure/failures.js";
import { callApi } from "./call-api.js";
import type { Client, ClientCallOptions } from "./client-type.js";
import { type ConnectOptions, createEndpoint, type Endpoint, type RemoteApi, readRoutes } from "./endpoint.js";
import { openStream } from "./open-stream.js";
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
  const endpoint = createEndpoint(url, options);
  return createClient(endpoint, await readRoutes(endpoint)) as Client<T>;
}

function createClient(endpoint: Endpoint, apis: readonly RemoteApi[]): object {
  const client: object = Object.create(createFallback(apis));
  for (const api of apis) {
    // `await` on a client would take a method `then` for a promise's.
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

/**
 * Names that every object has, or that runtimes and test runners look up on any object: these are not misspelt apis.
 */
const ordinary: readonly string[] = [...Object.getOwnPropertyNames(Object.prototype), "then", "toJSON", "inspect"];

/** Creates the prototype of the client, which is asked only for names that the client does not have. */
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
