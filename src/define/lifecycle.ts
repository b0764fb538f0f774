import type { Logger } from "../base/logger.js";

/** What a replica may use; made from the service's `resources`. */
export interface GrantedResources {
  /** Threads for model runtimes (`intraOpNumThreads` and the like). At least 1. */
  readonly cpuThreads: number;
  /** Bytes; `Infinity` when the service declares no memory. */
  readonly memoryBytes: number;
  /** Device ids; empty without `gpu`. */
  readonly gpus: readonly number[];
}

/** What `start()` is given. */
export interface StartContext {
  readonly resources: GrantedResources;
  readonly replica: { readonly index: number; readonly id: string };
  /** Adds service and replica to every line. */
  readonly log: Logger;
  /** Aborted when the app stops before `start()` has finished. */
  readonly signal: AbortSignal;
}

/** The lifecycle hooks every service has; all optional to override. */
export interface ServiceHooks {
  /** Loads what the service needs. Calls are taken only after it has resolved. */
  start(context: StartContext): void | Promise<void>;
  /** Lets go of it again, after the last call has ended. */
  stop(): void | Promise<void>;
  /** Whether the replica may receive calls now; asked by readiness probes. */
  ready(): boolean | Promise<boolean>;
}

/** Names an api or a dependency can't have: the hooks, and what would make a promise of a handle. */
export const reservedNames: readonly string[] = ["start", "stop", "ready", "then"];
