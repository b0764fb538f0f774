import type { ServiceClass } from "../define/depends.js";
import { handOver } from "../define/entry-handover.js";
import type { ServeOptions, Server } from "./serve-options.js";

/**
 * Starts a graph and serves the apis of its entry service over HTTP.
 *
 * @throws {ServingError} `invalid_graph`, `start_failed`, `start_timeout`, `port_in_use`; nothing is left running.
 */
export async function serve(entry: ServiceClass, options: ServeOptions = {}): Promise<Server> {
  // A replica has loaded this script for its classes alone.
  if (handOver(entry)) return new Promise(() => {});
  // Loaded here so that a file which only defines services does not pay for an HTTP server.
  const { startServer } = await import("./start-server.js");
  return startServer(entry, options);
}
