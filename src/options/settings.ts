/** What an app runs with once every option is decided: complete, in fixed units, no alternatives left. */
export interface AppSettings {
  readonly server: ServerSettings;
  /** Ids of the GPUs that replicas may be given; `"auto"`: those of `CUDA_VISIBLE_DEVICES`, or all the machine shows. */
  readonly gpus: "auto" | readonly number[];
  readonly tasks: TaskSettings;
  readonly services: ReadonlyMap<string, ServiceSettings>;
}

/** The HTTP server and the process around it. */
export interface ServerSettings {
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  /** How long a drain may take before what is left is cancelled. */
  readonly drainTimeoutMs: number;
  /** How long requests are still served, unready, before a drain. */
  readonly shutdownDelayMs: number;
  /** With no replica of the entry service ready for so long, the app ends; 0 is never. */
  readonly exitAfterMs: number;
  /** `"all"` checks every call; `"outside"` only values that come from HTTP or another process. */
  readonly checks: "all" | "outside";
  readonly logLevel: "debug" | "info" | "warn" | "error" | "silent";
  readonly http: HttpSettings;
}

/** Where durable tasks are kept, and how long. */
export interface TaskSettings {
  /** Path of the data folder as it was given; `""` for `.ekiben` beside the app. */
  readonly data: string;
  /** `"sqlite"`, or the URL of a PostgreSQL database. May hold a password: never to be shown. */
  readonly store: string;
  /** Whose tasks the app runs, of those in the store; `""` until the app's own is known. */
  readonly namespace: string;
  /** Of one process to PostgreSQL. */
  readonly maxConnections: number;
  /** A task that ended longer ago is forgotten. */
  readonly retentionMs: number;
  /** A replica that has not renewed its lease for so long has lost its task. */
  readonly leaseMs: number;
}

export interface HttpSettings {
  /** `false`, `true` for any origin, or the origins allowed. */
  readonly cors: boolean | readonly string[];
  readonly maxBodyBytes: number;
  /** Levels of nesting a JSON body may have. */
  readonly maxBodyDepth: number;
  readonly maxBodyValues: number;
  readonly maxHeaderBytes: number;
  /** From the end of the headers to the first byte of the body, and again to its last. */
  readonly bodyTimeoutMs: number;
  /** A stream on which nothing moves for so long ends; 0 for no limit. */
  readonly streamIdleMs: number;
  /** A stream that is silent for so long sends a sign of life; 0 for never. */
  readonly heartbeatMs: number;
  /** How long a connection may be idle between two requests. */
  readonly keepAliveMs: number;
  readonly maxConnections: number;
  readonly accessLog: boolean;
}

export interface ServiceSettings {
  readonly version: string;
  readonly description: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly placement: "inline" | "thread" | "process";
  /** Whose processes its replicas share; `"none"` for processes of their own. */
  readonly group: string;
  /** `min` equals `max` for a fixed number. */
  readonly replicas: { readonly min: number; readonly max: number; readonly targetInFlight: number };
  readonly resources: {
    /** Cores, may be a fraction. */
    readonly cpu: number;
    /** `Infinity` when not declared. */
    readonly memoryBytes: number;
    readonly gpu: number;
    readonly gpuType: string;
  };
  readonly startTimeoutMs: number;
  /** How long a call waits while no replica is ready but one is being started. */
  readonly holdMs: number;
  readonly liveness: LivenessSettings;
  readonly restart: RestartSettings;
  readonly env: Readonly<Record<string, string>>;
  readonly apis: ReadonlyMap<string, ApiSettings>;
}

/** When a replica whose event loop does not turn is passed over, and when it is replaced. */
export interface LivenessSettings {
  /** How often a replica is asked. */
  readonly intervalMs: number;
  /** Not answered for so long: no new calls until it answers. */
  readonly outAfterMs: number;
  /** Not answered for so long: killed and replaced. */
  readonly replaceAfterMs: number;
  /** Not answered for so long in the first run of an api: passed over, killed and replaced; no less than without. */
  readonly warmUpMs: number;
}

/** When a replica that ended is started again. */
export interface RestartSettings {
  /** The wait before the second restart in a row; it doubles with each further one. At least 1. */
  readonly backoffMs: number;
  readonly maxBackoffMs: number;
  /** Ready for so long, a life is healthy: waits and counts begin anew. */
  readonly resetAfterMs: number;
  /** Short lives or failed starts in a row after which the replica counts as down; 0 is never. */
  readonly giveUpAfter: number;
  /** The wait before each restart of a replica that is down. */
  readonly slowBackoffMs: number;
}

/** Bounds of one api's lane in one replica, and what callers may assume. */
export interface ApiSettings {
  /** Bounds a call to this api; at the edge it is the request's deadline. `Infinity` for a stream of which nothing was said. */
  readonly timeoutMs: number;
  /** Where `timeoutMs` was set, as `OptionReport` has it; absent where nobody decided. */
  readonly timeoutFrom?: string;
  /** Calls running at once. */
  readonly maxConcurrent: number;
  /** Calls waiting for a place; one more is refused. */
  readonly maxQueued: number;
  readonly idempotent: boolean;
  /** How often a task is begun at most. */
  readonly attempts: number;
  /** The wait before the second attempt of a task that failed; it doubles with each further one. */
  readonly retryBackoffMs: number;
  /** Absent for an api whose contract says nothing of batches. */
  readonly batch?: BatchSettings;
}

/** How the rows of several calls are run as one. */
export interface BatchSettings {
  /** Never exceeded. */
  readonly maxRows: number;
  /** `Infinity` for none. */
  readonly targetLatencyMs: number;
  /** `undefined`: as long as pays. */
  readonly windowMs: number | undefined;
  /** Batches that run at once. */
  readonly maxConcurrent: number;
}
