import type { FastifyInstance } from "fastify";

/** What one replica of a service needs. */
export interface Resources {
  /** Cores: a number, or thousandths as `"500m"`; model runtimes get as many threads. Default 1. */
  readonly cpu?: number | string;
  /** `"512Mi"`, `"2Gi"`, or bytes: bounds the heap, and in a process of its own the resident memory. Default: no bound. */
  readonly memory?: number | string;
  /** Devices, handed out as ids; a fraction shares one. Default 0. */
  readonly gpu?: number;
  readonly gpuType?: string;
}

/** How many replicas: fixed, or between two bounds. */
export type Replicas = number | { readonly min: number; readonly max: number; readonly targetInFlight?: number };

/** Where replicas live. */
export type Placement = "inline" | "thread" | "process";

/** When a replica whose event loop does not turn is passed over and replaced. Milliseconds. */
export interface LivenessOptions {
  /** How often it is asked. Default 1000. */
  readonly intervalMs?: number;
  /** Not answered for so long, it gets no new calls until it answers. Default 5000. */
  readonly outAfterMs?: number;
  /** Not answered for so long, it is killed and replaced. Default 30000. */
  readonly replaceAfterMs?: number;
  /** How long it may be silent in the first run of an api. Default: `startTimeoutMs`, or `replaceAfterMs` where that was set. */
  readonly warmUpMs?: "auto" | number;
}

/** When a replica that ended is started again. */
export interface RestartOptions {
  /** Milliseconds before the second restart in a row, doubling with each further one; the first is at once. Default 100. */
  readonly backoffMs?: number;
  /** Default 10000. */
  readonly maxBackoffMs?: number;
  /** A replica that was ready for so long counts as healthy: waits and counts begin anew. Default 10000. */
  readonly resetAfterMs?: number;
  /** Short lives or failed starts in a row after which it counts as down, and is started again slowly; 0 is never. Default 8. */
  readonly giveUpAfter?: number;
  /** The wait before each restart of one that is down, in milliseconds. Default 30 000. */
  readonly slowBackoffMs?: number;
}

/** Settings of the HTTP server. */
export interface HttpOptions {
  /** `true` for any origin, or the origins allowed. Default: no CORS headers. */
  readonly cors?: boolean | string | readonly string[];
  /** Bytes, or a text such as `"16MiB"`. */
  readonly maxBodyBytes?: number | string;
  readonly maxBodyDepth?: number;
  readonly maxBodyValues?: number;
  readonly maxHeaderBytes?: number | string;
  readonly bodyTimeoutMs?: number;
  /** Milliseconds after which a stream on which nothing moves ends. Default 60000; 0 for no limit. */
  readonly streamIdleMs?: number;
  /** Milliseconds of silence after which a stream sends a sign of life. Default 15000; 0 for never. */
  readonly heartbeatMs?: number;
  /** Milliseconds a connection may be idle between two requests; more than a balancer in front keeps it. Default 72000. */
  readonly keepAliveMs?: number;
  readonly maxConnections?: number;
  /** One log line a request. Default true. */
  readonly accessLog?: boolean;
}

/** Where durable tasks are kept, and how long. */
export interface TaskStoreOptions {
  /** `"sqlite"` (default), or the URL of a PostgreSQL database: `postgres://user:password@host/database`. */
  readonly store?: string;
  /** Tells the tasks of programs that share a store apart. Default: the name in `package.json`, the service file, the entry service. */
  readonly namespace?: string;
  /** Connections of one process to PostgreSQL. Default 4. */
  readonly maxConnections?: number;
  /** How long a task that has ended is kept, in milliseconds. Default a week. */
  readonly retentionMs?: number;
  /** How long a replica has a task without saying that it still runs it, in milliseconds. Default 45000. */
  readonly leaseMs?: number;
}

/** How calls of an api that batches are joined. */
export interface BatchFileOptions {
  /** Most rows of a batch, never exceeded; a call with more is run in pieces. Default 64. */
  readonly maxRows?: number;
  /** Milliseconds in which the first call of a batch should be answered: bounds its wait and its size. Default `"none"`. */
  readonly targetLatencyMs?: number | "none";
  /** Milliseconds the first call of a batch waits for others. Default `"auto"`: as long as pays, by what batches were seen to cost. */
  readonly windowMs?: number | "auto";
  /** Batches that run at once in one replica. Default 1. */
  readonly maxConcurrent?: number;
}

/** Bounds of apis, as an app file gives them: for one api, for a service, or for the whole app. */
export interface ApiFileOptions {
  readonly timeoutMs?: number;
  readonly maxConcurrent?: number;
  readonly maxQueued?: number;
  readonly idempotent?: boolean;
  /** Of tasks: how often one is begun at most. Default 3. */
  readonly attempts?: number;
  /** Of tasks: milliseconds before one that failed is begun again; doubles with each attempt. Default 1000. */
  readonly retryBackoffMs?: number;
  /** Heeded by apis whose contract says `batch`. */
  readonly batch?: BatchFileOptions;
}

/** Options of services, as an app file gives them: for one service or for all. */
export interface ServiceFileOptions extends ApiFileOptions {
  readonly version?: string;
  readonly description?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly placement?: Placement;
  /** Services of one group share processes. Default `"none"`. */
  readonly group?: string;
  readonly replicas?: Replicas;
  readonly resources?: Resources;
  readonly startTimeoutMs?: number;
  /** Milliseconds a call waits while no replica is ready but one is being started. Default 5000. */
  readonly holdMs?: number;
  readonly liveness?: LivenessOptions;
  readonly restart?: RestartOptions;
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
  /** Milliseconds for which requests are still served after SIGTERM while `/readyz` already says 503. Default 0. */
  readonly shutdownDelayMs?: number;
  /** With no replica of the entry service ready for so many milliseconds, the app ends with exit code 1; 0 is never. Default 120 000. */
  readonly exitAfterMs?: number;
  readonly checks?: "all" | "outside";
  readonly logLevel?: "debug" | "info" | "warn" | "error" | "silent";
  /** Ids of the GPUs that replicas may be given. Default `"auto"`: `CUDA_VISIBLE_DEVICES`, or all the machine shows. */
  readonly gpus?: "auto" | readonly number[];
  /** Folder of what the app keeps. Default `.ekiben` beside the app. */
  readonly data?: string;
  readonly tasks?: TaskStoreOptions;
  readonly http?: HttpOptions;
  /** Options of single services, by name, and of their apis. Stronger than the fields beside `services`. */
  readonly services?: Readonly<
    Record<string, ServiceFileOptions & { readonly apis?: Readonly<Record<string, ApiFileOptions>> }>
  >;
  /** Adds Fastify plugins and routes of your own beside the apis. */
  readonly fastify?: (fastify: FastifyInstance) => void | Promise<void>;
}
