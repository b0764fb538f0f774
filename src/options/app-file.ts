import type { FastifyInstance } from "fastify";
import type { OptionRow } from "./option.js";
import type { apiOptions, appOptions, batchOptions, serviceOptions } from "./options.js";

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

/** Limits of apis in an app file: for one api, for a service, or for the whole app. */
export interface ApiFileOptions extends CodeOf<typeof apiOptions>, CodeOf<typeof batchOptions> {}

/** Options of services in an app file: for one service, or for the whole app. */
export interface ServiceFileOptions extends ApiFileOptions, CodeOf<Omit<typeof serviceOptions, "name">> {}

/**
 * Default export of `ekiben.config.ts`. Every field but `services` and `fastify` is an option: see `ekiben options`, or
 * the reference of options.
 */
export interface AppFile extends ServiceFileOptions, CodeOf<typeof appOptions> {
  /** Options of single services, by name, and of their apis. They win over the fields beside `services`. */
  readonly services?: Readonly<
    Record<string, ServiceFileOptions & { readonly apis?: Readonly<Record<string, ApiFileOptions>> }>
  >;
  /** Adds Fastify plugins and routes of your own beside the apis. */
  readonly fastify?: (fastify: FastifyInstance) => void | Promise<void>;
}
