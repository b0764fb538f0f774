import type { FastifyInstance } from "fastify";
import type { Logger } from "../base/logger.js";
import type { ServingError } from "../failure/serving-error.js";
import type { Graph } from "../graph/graph.js";
import type { AppFile } from "../options/app-file.js";
import type { OnProgress } from "../supervisor/progress.js";

/** What `serve()` takes; everything else about an app is an option (see `ekiben options`). */
export interface ServeOptions {
  /** Default 3000; 0 takes a free one. */
  readonly port?: number;
  /** Default `"0.0.0.0"`: every interface. */
  readonly host?: string;
  /** Options as they stand in `ekiben.config.ts`. */
  readonly options?: AppFile;
  /** Adds an author's own Fastify plugins and routes beside the apis. */
  readonly fastify?: (fastify: FastifyInstance) => void | Promise<void>;
  /** Default: JSON lines on stdout, by pino. */
  readonly log?: Logger;
  readonly onProgress?: OnProgress;
  /**
   * Whether SIGINT, SIGTERM, SIGHUP and SIGQUIT close the server and then end the process with 0. A second one ends it at once,
   * but not the same within half a second: npm, tsx and `node --watch` pass on what the terminal has sent to all. Default false.
   */
  readonly signals?: boolean;
  /** Where `EKIBEN_…` variables are read. Default: the process's environment. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** How a server closes. */
export interface CloseOptions {
  /** Does not wait for `shutdownDelayMs`. Default false. */
  readonly skipsDelay?: boolean;
}

/** A running server. */
export interface Server {
  /** `"http://127.0.0.1:3000"` */
  readonly url: string;
  readonly port: number;
  readonly graph: Graph;
  /**
   * Resolves when the app has ended by itself, since its entry service had no replica for `exitAfterMs`: with the failure
   * `entry_gone`. All is stopped then, and `process.exitCode` is 1. Never resolves otherwise.
   */
  readonly failed: Promise<ServingError>;
  /**
   * Says that it is not ready for `shutdownDelayMs`, then takes no new request, answers those accepted, and stops every
   * service. Repeated calls share one close.
   */
  close(options?: CloseOptions): Promise<void>;
}
