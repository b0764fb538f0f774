import type { ServiceHooks, StartContext } from "./lifecycle.js";

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

/** Settings of the HTTP server; read from the entry service. */
export interface HttpOptions {
  /** `true` for any origin, or the origins allowed. Default: no CORS headers. */
  readonly cors?: boolean | string | readonly string[];
  readonly maxBodyBytes?: number;
  readonly maxBodyDepth?: number;
  readonly maxHeaderBytes?: number;
  readonly bodyTimeoutMs?: number;
  readonly maxConnections?: number;
  /** One log line a request. Default true. */
  readonly accessLog?: boolean;
}

/** What `Service(options)` takes; every field is a row of the option table (see `ekiben options`). */
export interface ServiceOptions {
  /** Default: the class's name. */
  readonly name?: string;
  readonly version?: string;
  readonly description?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly resources?: Resources;
  readonly replicas?: Replicas;
  readonly placement?: Placement;
  readonly timeoutMs?: number;
  readonly startTimeoutMs?: number;
  readonly maxConcurrent?: number;
  readonly maxQueued?: number;
  /** Environment variables of its replicas. */
  readonly env?: Readonly<Record<string, string>>;
  readonly http?: HttpOptions;
}

const optionsKey: unique symbol = Symbol.for("ekiben.service");

/**
 * The base class of a service: `class Model extends Service({ replicas: 2 }) { … }`.
 *
 * A service is an ordinary class whose fields are made by `api()` and `depends()`; one without dependencies may be made
 * with `new` and called in a unit test.
 */
export function Service(options: ServiceOptions = {}): abstract new () => ServiceHooks {
  return class implements ServiceHooks {
    static readonly [optionsKey] = options;
    start(_context: StartContext): void | Promise<void> {}
    stop(): void | Promise<void> {}
    ready(): boolean | Promise<boolean> {
      return true;
    }
  };
}

/** The options of a service class; `undefined` when `value` is not one. */
export function readServiceOptions(value: unknown): ServiceOptions | undefined {
  return typeof value === "function" ? (value as { [optionsKey]?: ServiceOptions })[optionsKey] : undefined;
}
