import type { FastifyInstance } from "fastify";

/** Bounds of apis, as an app file gives them: for one api, for a service, or for the whole app. */
export interface ApiFileOptions {
  readonly timeoutMs?: number;
  readonly maxConcurrent?: number;
  readonly maxQueued?: number;
  readonly idempotent?: boolean;
}

/** Options of services, as an app file gives them: for one service or for all. */
export interface ServiceFileOptions extends ApiFileOptions {
  readonly version?: string;
  readonly description?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly placement?: "inline" | "thread" | "process";
  readonly replicas?: number | { readonly min: number; readonly max: number; readonly targetInFlight?: number };
  readonly resources?: {
    readonly cpu?: number | string;
    readonly memory?: number | string;
    readonly gpu?: number;
    readonly gpuType?: string;
  };
  readonly startTimeoutMs?: number;
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * What `ekiben.config.ts` exports as its default. Every field but `services` and `fastify` is an option: see
 * `ekiben options`, or the reference of options, for units and defaults.
 */
export interface AppFile extends ServiceFileOptions {
  readonly port?: number;
  readonly host?: string;
  readonly drainTimeoutMs?: number;
  readonly checks?: "all" | "outside";
  readonly logLevel?: "debug" | "info" | "warn" | "error" | "silent";
  readonly http?: {
    readonly cors?: boolean | string | readonly string[];
    readonly maxBodyBytes?: number | string;
    readonly maxBodyDepth?: number;
    readonly maxHeaderBytes?: number | string;
    readonly bodyTimeoutMs?: number;
    readonly maxConnections?: number;
    readonly accessLog?: boolean;
  };
  /** Options of single services, by name, and of their apis. Stronger than the fields beside `services`. */
  readonly services?: Readonly<
    Record<string, ServiceFileOptions & { readonly apis?: Readonly<Record<string, ApiFileOptions>> }>
  >;
  /** Adds Fastify plugins and routes of your own beside the apis. */
  readonly fastify?: (fastify: FastifyInstance) => void | Promise<void>;
}
