import { ownFolder } from "../base/shared-state.js";
import { type EarlierServer, handOver, noteServer, type ServiceClass } from "../define/depends.js";
import { noteCallers, readServiceName } from "../define/service.js";
import { fail } from "../failure/failures.js";
import type { ServeOptions, Server } from "./start-server.js";

/**
 * Starts a graph and serves the apis of its entry service over HTTP; or, with `listen`, those of one service to other
 * apps.
 *
 * @throws {ServingError} `invalid_graph`, `start_failed`, `start_timeout`, `port_in_use`, `bundled_in`,
 *   `edge_file_unusable`. Nothing is left running then.
 */
export async function serve(entry: ServiceClass, options: ServeOptions = {}): Promise<Server> {
  const callers = noteCallers();
  if (ownFolder === "") throw fail("bundled_in", {});
  if ("onProgress" in options) {
    throw fail("renamed_option", { former: "onProgress", now: "onEvent", source: "serve()" });
  }
  // A replica loads this script only for its classes.
  const handover = handOver(entry);
  if (handover?.kind === "stop") return new Promise(() => {});
  if (handover?.kind === "go on") return standIn(entry, handover.server);
  // Loaded here so that a file which only defines services does not load an HTTP server.
  const { startServer } = await import("./start-server.js");
  const server = await startServer(entry, options, callers);
  noteServer({ service: readServiceName(entry), url: server.url, port: server.port });
  return server;
}

/**
 * Returns the server of the app to a replica that runs the same script. Its failure and its close concern only the app.
 */
async function standIn(entry: ServiceClass, { url, port }: EarlierServer): Promise<Server> {
  const { resolveGraph } = await import("../graph/graph.js");
  return { url, port, graph: resolveGraph(entry), failed: new Promise(() => {}), close: async () => {} };
}
