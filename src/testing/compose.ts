import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { planApp, refuseStray } from "../app/plan-app.js";
import { createRunningApp, type RunningApp } from "../app/running-app.js";
import { type App, startApp } from "../app/start-app.js";
import type { Logger } from "../base/logger.js";
import { ownFolder } from "../base/shared-state.js";
import type { CallContext } from "../call/call-context.js";
import { handOver, type ServiceClass } from "../define/depends.js";
import type { Replacement } from "../define/handle-type.js";
import { noteCallers, type ServiceHooks } from "../define/service.js";
import { fail } from "../failure/failures.js";
import type { Substitute } from "../graph/graph.js";
import { locateEntry } from "../load/entry-location.js";
import type { AppFile, Placement } from "../options/app-file.js";
import { type DelayRule, type FailRule, Faults } from "../runtime/faults.js";

/** Pair of a service class and its substitute: another class, or a function for each api that is called. */
export type Replace<T = any> = readonly [service: new () => T, substitute: (new () => object) | Replacement<T>];

/** Options of `compose()`. */
export interface ComposeOptions<R extends readonly unknown[] = readonly unknown[]> {
  /** Services to replace. The contracts of the replaced services still check inputs and outputs. */
  readonly replace?: { readonly [K in keyof R]: Replace<R[K]> };
  /** Placement of all services. Default `"inline"`. */
  readonly placement?: Placement;
  /** Options, in the form of `ekiben.config.ts`. */
  readonly options?: AppFile;
  /**
   * URL or path of the file that exports the class; replicas in threads and processes load it. A test file cannot be
   * loaded again. Default: ekiben searches for the file.
   */
  readonly from?: string | URL;
  /** Logger of the app. Default: silent. */
  readonly log?: Logger;
  /**
   * Context of the calls that the test makes, in place of what `context` of an app file gives for an HTTP request; or a
   * function that returns it for each call.
   */
  readonly context?: CallContext | (() => CallContext);
}

const composeFields = {
  ...{ replace: true, placement: true, options: true, from: true, log: true, context: true },
} satisfies Record<keyof ComposeOptions, true>;

/** Running graph of a test: real services and checks, without a port, and faults on demand. */
export interface ComposedApp<T extends ServiceHooks> extends RunningApp<T> {
  /** Makes calls to the service fail before they reach it. */
  fail(service: ServiceClass, rule?: FailRule): void;
  /** Delays calls to the service. */
  delay(service: ServiceClass, rule: DelayRule | number): void;
  /** Removes all rules set by `fail` and `delay`. */
  clearFaults(): void;
  /** Ends one replica (default: the first) like a crash: its calls fail. Resolves when its replacement is ready. */
  kill(service: ServiceClass, index?: number): Promise<void>;
}

/**
 * Starts a graph for a test.
 *
 * @throws {ServingError} as `serve()` does: `invalid_graph`, `start_failed`, `start_timeout`.
 */
export async function compose<T extends ServiceHooks, const R extends readonly unknown[] = readonly []>(
  entry: ServiceClass<T>,
  options: ComposeOptions<R> = {},
): Promise<ComposedApp<T>> {
  const callers = noteCallers();
  if (ownFolder === "") throw fail("bundled_in", {});
  // A replica loads this script only for its classes.
  if (handOver(entry) !== undefined) return new Promise(() => {});
  refuseStray(options, composeFields, "compose()");
  const substitutes = new Map<ServiceClass, Substitute>((options.replace ?? []) as never);
  const { placement = "inline", options: given } = options;
  // A test runs no schedule by chance.
  const value = { placement, ...given, tasks: { schedules: false, ...given?.tasks } };
  const appFile = { path: "compose()", value };
  const plan = planApp(entry, { flags: {}, env: {}, appFile }, substitutes);
  const faults = new Faults();
  // The store of tasks and of `once()`, so that a test leaves none beside the author's files.
  const folder = mkdtempSync(join(tmpdir(), "ekiben-test-"));
  try {
    const app = await startApp(plan, {
      ...(options.log && { log: options.log }),
      locateEntry: () => locateEntry(entry, plan.graph.entry, { from: options.from, callers }),
      appFolder: folder,
      calls: [...plan.graph.services.keys()],
      faults,
    });
    return createComposedApp(app, entry, { faults, folder, context: options.context });
  } catch (error) {
    removeFolder(folder);
    throw error;
  }
}

const removeFolder = (folder: string): void => rmSync(folder, { recursive: true, force: true });

interface TestDeps {
  readonly faults: Faults;
  readonly context: ComposeOptions["context"];
  /** Folder of the task store, removed with the app. */
  readonly folder: string;
}

function createComposedApp<T extends ServiceHooks>(
  app: App,
  entry: ServiceClass<T>,
  { faults, folder, context }: TestDeps,
): ComposedApp<T> {
  const { running, nameOf } = createRunningApp(app, entry, { context, onClosed: () => removeFolder(folder) });
  return {
    ...running,
    fail: (service, rule) => {
      faults.fail(nameOf(service), rule);
      app.spreadFaults();
    },
    delay: (service, rule) => {
      faults.delay(nameOf(service), typeof rule === "number" ? { ms: rule } : rule);
      app.spreadFaults();
    },
    clearFaults: () => {
      faults.clear();
      app.spreadFaults();
    },
    kill: (service, index = 0) => app.replaceReplica(nameOf(service), index),
  };
}
