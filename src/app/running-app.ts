import { constants } from "node:os";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { createDeferred } from "../base/clock.js";
import type { Logger } from "../base/logger.js";
import type { CallContext } from "../call/call-context.js";
import type { ServiceClass } from "../define/depends.js";
import type { Handle } from "../define/handle-type.js";
import { type ServiceHooks, toFileUrl } from "../define/service.js";
import { fail } from "../failure/failures.js";
import { locateEntry } from "../load/entry-location.js";
import { createLog } from "../observe/log.js";
import type { AppFile, Placement } from "../options/app-file.js";
import { watchBackground } from "../runtime/background-failures.js";
import type { AppEvent, OnAppEvent } from "../supervisor/replica-state.js";
import { planApp, refuseStray } from "./plan-app.js";
import { type App, startApp } from "./start-app.js";
import { closeOnSignals, holdProcess } from "./stop-signals.js";

/** Running graph in a program or a test: real services and checks, without a port. */
export interface RunningApp<T extends ServiceHooks> extends AsyncDisposable {
  /** Handle of the entry service, like the handle that another service of the graph would get. */
  readonly entry: Handle<T>;
  /** Returns the handle of any service of the graph. */
  service<S extends ServiceHooks>(service: ServiceClass<S>): Handle<S>;
  /** Drains and stops all services; `await using` calls it. Repeated calls share one close. */
  close(): Promise<void>;
}

/** Options of `run()`; everything else about an app is an option in `options` (see `ekiben options`). */
export interface RunOptions {
  /** Placement of all services. Default: as `options` and the services declare. */
  readonly placement?: Placement;
  /** Options as they stand in `ekiben.config.ts`. */
  readonly options?: AppFile;
  /** Environment with the `EKIBEN_…` variables. Default: that of the process. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /**
   * File that replicas in threads and processes load: `import.meta.url` in the file that exports the class or calls
   * `run()`, or the URL or path of another file that exports the class. Tasks are kept beside it. Default: ekiben looks
   * for the file.
   */
  readonly from?: string | URL;
  /** Default: JSON lines on stderr, by pino, so that stdout is the program's. */
  readonly log?: Logger;
  /**
   * Context of the calls that the program makes, in place of what `context` of an app file gives for an HTTP request;
   * or a function that returns it for each call.
   */
  readonly context?: CallContext | (() => CallContext);
  /** Called with each event of the app's life, in order. */
  readonly onEvent?: OnAppEvent;
  /**
   * True when SIGINT, SIGTERM, SIGHUP and SIGQUIT close the app and then end the process with 128 plus the number of
   * the signal, for example 130 after Ctrl-C. Several such apps end it when all are closed. A second signal ends it at
   * once. Closing the app ends this. Default false.
   */
  readonly signals?: boolean;
}

const runFields = {
  ...{ placement: true, options: true, env: true, from: true, log: true, context: true, onEvent: true, signals: true },
} satisfies Record<keyof RunOptions, true>;

/**
 * Starts the graph of `run()`. Throws as it does.
 *
 * @param callers Returns the files that called it, as URLs.
 */
export async function startRunningApp<T extends ServiceHooks>(
  entry: ServiceClass<T>,
  { placement, options, env = process.env, from, signals, context, ...given }: RunOptions,
  callers: () => readonly string[],
): Promise<RunningApp<T>> {
  refuseStray(given, runFields, "run()");
  const value = { ...options, ...(placement !== undefined && { placement }) };
  const plan = planApp(entry, { flags: {}, env, appFile: { path: "run()", value } }, new Map());
  const { logLevel } = plan.settings.server;
  const { log, flush } = given.log ? { log: given.log, flush: () => {} } : createLog(logLevel, "stderr");
  const endWatch = watchBackground({ log, ownsProcess: false });
  const closed = createDeferred<void>();
  // Most timers of an app don't keep the process alive, so a call that waits for one would end with it.
  void holdProcess(closed.promise);
  let endSignals = () => {};
  const onClosed = () => {
    endSignals();
    endWatch();
    flush();
    closed.resolve();
  };
  try {
    const app = await startApp(plan, {
      log,
      onEvent: given.onEvent ?? ((event) => logNotice(log, event)),
      locateEntry: () => locateEntry(entry, plan.graph.entry, { from, callers }),
      ...(from !== undefined && { appFolder: dirname(fileURLToPath(toFileUrl(from))) }),
      calls: [...plan.graph.services.keys()],
    });
    const { running } = createRunningApp(app, entry, { context, onClosed });
    if (signals === true) {
      endSignals = closeOnSignals((signal) => {
        process.exitCode = 128 + constants.signals[signal];
        return running.close();
      });
    }
    return running;
  } catch (error) {
    onClosed();
    throw error;
  }
}

/** Logs the notices of a start whose events nothing listens to. */
function logNotice(log: Logger, event: AppEvent): void {
  if (event.kind === "notice") log.warn({}, event.message);
}

/** A running app as its program sees it. */
interface ProgramView<T extends ServiceHooks> {
  readonly running: RunningApp<T>;
  /** Returns the name of a service. @throws {ServingError} `not_a_service` for a class that is not in the graph. */
  readonly nameOf: (service: ServiceClass) => string;
}

interface ProgramDeps {
  /** Context of the calls that the program makes. */
  readonly context: RunOptions["context"];
  /** Called once, when all services have stopped. */
  readonly onClosed: () => void;
}

/** Makes what a program or a test calls an app by. */
export function createRunningApp<T extends ServiceHooks>(
  app: App,
  entry: ServiceClass<T>,
  { context, onClosed }: ProgramDeps,
): ProgramView<T> {
  const names = new Map(app.graph.edges.map((edge) => [edge.target, edge.to])).set(entry, app.graph.entry);
  const nameOf = (service: ServiceClass): string => {
    const name = names.get(service);
    if (name === undefined) throw fail("not_a_service", { what: `class ${service.name}, in this graph,` });
    return name;
  };
  const contextOf = toFunction(context);
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closing ??= app.stop(AbortSignal.timeout(app.plan.settings.server.drainTimeoutMs)).finally(onClosed);
    return closing;
  };
  const running: RunningApp<T> = {
    entry: app.handle(app.graph.entry, contextOf) as Handle<T>,
    service: (service) => app.handle(nameOf(service), contextOf) as never,
    close,
    [Symbol.asyncDispose]: close,
  };
  return { running, nameOf };
}

/** Turns a context into the function that returns it for a call. */
function toFunction(context: unknown): (() => unknown) | undefined {
  if (context === undefined) return undefined;
  return typeof context === "function" ? (context as () => unknown) : () => context;
}
