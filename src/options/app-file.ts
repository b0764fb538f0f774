import type { FastifyInstance } from "fastify";
import type { OptionRow } from "./option.js";
import type { apiOptions, appOptions, batchOptions, cacheOptions, serviceOptions } from "./options.js";

/** Options of a table as authors write them: each may be left out. Doc blocks of the rows are those of the fields. */
type CodeOf<Table> = {
  readonly [K in keyof Table]?: Table[K] extends OptionRow<any, infer Code, any>
    ? Code
    : { readonly [F in keyof Table[K]]?: Table[K][F] extends OptionRow<any, infer Code, any> ? Code : never };
};

/** Resources of each replica of a service. */
export interface Resources extends CodeOf<typeof serviceOptions.resources> {}

/** Home of the replicas of a service. */
export type Placement = NonNullable<ServiceFileOptions["placement"]>;

/** Settings of the HTTP server. */
export interface HttpOptions extends CodeOf<typeof appOptions.http> {}

/** Options of batches. */
export interface BatchFileOptions extends CodeOf<typeof batchOptions.batch> {}

/** Options of caches. */
export interface CacheFileOptions extends CodeOf<typeof cacheOptions.cache> {}

/** Limits of apis in an app file: for one api, for a service, or for the whole app. */
export interface ApiFileOptions
  extends CodeOf<typeof apiOptions>,
    CodeOf<typeof batchOptions>,
    CodeOf<typeof cacheOptions> {}

/** Options of services in an app file: for one service, or for the whole app. */
export interface ServiceFileOptions extends ApiFileOptions, CodeOf<Omit<typeof serviceOptions, "name">> {}

/** Request to an api of the entry service, as `context` of the app file sees it: its body is not read yet. */
export interface ContextRequest {
  /** `"POST"`, for a question about a task also `"GET"` or `"PUT"`. */
  readonly method: string;
  /** Path and query, as they came: `"/predict?trace=1"`. */
  readonly url: string;
  /** Headers by lower-case name, as the author's hooks left them. */
  readonly headers: Readonly<Record<string, string>>;
  /** Address of the client, or of the proxy in front. */
  readonly ip: string;
  /** Name of the api. */
  readonly api: string;
  /** HTTP path of the api. */
  readonly route: string;
  readonly requestId: string;
  /** Aborted when the client leaves, and when `http.contextTimeoutMs` is over. */
  readonly signal: AbortSignal;
}

/** Place of a request in which a client says who it is. */
export type CredentialPlace =
  | { readonly kind: "bearer" }
  | { readonly kind: "header"; readonly name: string }
  | { readonly kind: "cookie"; readonly name: string };

/** Function of the app file that finds out who is asking. */
export interface ReadContext {
  (request: ContextRequest): unknown;
  /** Places that it reads; any of them is enough. For `/openapi.json`. Functions of `ekiben/auth` have it. */
  readonly credentials?: readonly CredentialPlace[];
}

/** Context that an app file gives its calls: what its `context` returns or resolves to; `undefined` without one. */
export type ContextOf<App> = App extends { readonly context: (request: any) => infer Value }
  ? Awaited<Value>
  : undefined;

/**
 * Default export of `ekiben.config.ts`. Every field but `services`, `fastify` and `context` is an option: see `ekiben
 * options`, or the reference of options.
 */
export interface AppFile extends ServiceFileOptions, CodeOf<typeof appOptions> {
  /** Options of single services, by name, and of their apis. They win over the fields beside `services`. */
  readonly services?: Readonly<
    Record<string, ServiceFileOptions & { readonly apis?: Readonly<Record<string, ApiFileOptions>> }>
  >;
  /** Adds Fastify plugins and routes of your own beside the apis. */
  readonly fastify?: (fastify: FastifyInstance) => void | Promise<void>;
  /**
   * Finds out who is asking, before the body of a request to an api is read. What it returns, JSON data of up to
   * 16 KiB, is `currentCall().context` in all calls of the request. A `ServingError` that it throws is the answer: 401
   * for the code `unauthenticated`, 403 for `permission_denied`.
   */
  readonly context?: ReadContext;
}
