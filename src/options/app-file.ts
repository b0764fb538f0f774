import type { FastifyInstance } from "fastify";

/** What one replica of a service needs. */
export interface Resources {
  /** Cores: a number, or thousandths as `"500m"`. Default 1. */
  readonly cpu?: number | string;
  /** `"512Mi"`, `"2Gi"`, or bytes. Default: no bound. */
  readonly memory?: number | string;
  /** Devices; a fraction shares one. Default 0. */
  readonly gpu?: number;
  readonly gpuType?: string;
}

/** How many replicas: fixed, or between two bounds. */
export type Replicas = number | { readonly min: number; readonly max: number; readonly targetInFlight?: number };

/** Where replicas live. */
export type Placement = "inline" | "thread" | "process";

/** Settings of the HTTP server. */
export interface HttpOptions {
  /** `true` for any origin, or the origins allowed. Default: no CORS headers. */
  readonly cors?: boolean | string | readonly string[];
  /** Bytes, or a text such as `"16MiB"`. */
  readonly maxBodyBytes?: number | string;
  readonly maxBodyDepth?: number;
  readonly maxHeaderBytes?: number | string;
  readonly bodyTimeoutMs?: number;
  readonly maxConnections?: number;
  /** One log line a request. Default true. */
  readonly accessLog?: boolean;
}

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
  readonly placement?: Placement;
  readonly replicas?: Replicas;
  readonly resources?: Resources;
  readonly startTimeoutMs?: number;
  /** Environment variables of its replicas. */
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
  readonly http?: HttpOptions;
  /** Options of single services, by name, and of their apis. Stronger than the fields beside `services`. */
  readonly services?: Readonly<
    Record<string, ServiceFileOptions & { readonly apis?: Readonly<Record<string, ApiFileOptions>> }>
  >;
  /** Adds Fastify plugins and routes of your own beside the apis. */
  readonly fastify?: (fastify: FastifyInstance) => void | Promise<void>;
}
