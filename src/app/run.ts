import { ownFolder } from "../base/shared-state.js";
import { handOver, noteServer, type ServiceClass } from "../define/depends.js";
import { noteCallers, readServiceName, type ServiceHooks } from "../define/service.js";
import { fail } from "../failure/failures.js";
import type { RunningApp, RunOptions } from "./running-app.js";

/**
 * Starts a graph in a program, without HTTP: `await using app = await run(Pipeline)`. Each service runs where its
 * placement says.
 *
 * An open app keeps the process alive until it is closed.
 *
 * @throws {ServingError} `invalid_graph`, `start_failed`, `start_timeout`, `bundled_in`, `not_importable`. Nothing is
 *   left running then.
 */
export async function run<T extends ServiceHooks>(
  entry: ServiceClass<T>,
  options: RunOptions = {},
): Promise<RunningApp<T>> {
  const callers = noteCallers();
  if (ownFolder === "") throw fail("bundled_in", {});
  // A replica loads this script only for its classes.
  const handover = handOver(entry);
  if (handover?.kind === "stop") return new Promise(() => {});
  if (handover?.kind === "go on") return createStandIn();
  // Loaded here so that a file which only defines services does not load everything that runs them.
  const { startRunningApp } = await import("./running-app.js");
  const app = await startRunningApp(entry, options, callers);
  noteServer({ service: readServiceName(entry), url: "", port: 0 });
  return app;
}

/**
 * Returns the app of an earlier `run()` to a replica that runs the same script: nothing runs in it, so its calls never
 * answer. A script that needs an answer before it reaches the class of the replica ends with `entry_not_reached`.
 */
function createStandIn<T extends ServiceHooks>(): RunningApp<T> {
  const never = Object.assign(new Promise<never>(() => {}), {
    [Symbol.asyncIterator]: () => ({ next: () => never }),
  });
  const method: object = new Proxy(() => never, { get: () => method });
  // An object with a method `then` would be a promise.
  const handle = new Proxy({}, { get: (_, api) => (api === "then" ? undefined : method) }) as never;
  const close = async () => {};
  return { entry: handle, service: () => handle, close, [Symbol.asyncDispose]: close };
}
