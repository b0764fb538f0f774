import { loadedVersions, shareState } from "../base/shared-state.js";
import { fail } from "../failure/fail.js";
import type { Handle } from "./handle-type.js";
import type { ServiceHooks } from "./lifecycle.js";

/** What may be said about one edge of the graph. */
export interface EdgeOptions {
  /** Bounds each call over this edge; can only shorten what the caller has left. */
  readonly timeoutMs?: number;
}

/** A class whose instances are services. */
export type ServiceClass<T = any> = new () => T;

/** Decides what `depends()` gives while a service is constructed. */
export interface ConstructionScope {
  depends(target: ServiceClass, edge: EdgeOptions): object;
}

/** The service being constructed now. Construction is synchronous and may nest. */
const wiring = shareState("wiring", (): { scope: ConstructionScope | undefined } => ({ scope: undefined }));

/** Constructs a service so that its `depends()` fields are given by `scope`. */
export function constructIn<T>(scope: ConstructionScope, construct: () => T): T {
  const outer = wiring.scope;
  wiring.scope = scope;
  try {
    return construct();
  } finally {
    wiring.scope = outer;
  }
}

/**
 * Declares that a service calls another: a class field.
 *
 * @param service The class of the dependency. Services that name the same class share one deployment.
 * @param edge    Bounds of this edge.
 * @returns       A handle with exactly the apis and streams of `service`.
 * @throws {ServingError} `depends_outside_scope` when the class was made with `new` instead of by a graph.
 */
export function depends<T extends ServiceHooks>(service: new () => T, edge: EdgeOptions = {}): Handle<T> {
  if (wiring.scope === undefined) {
    throw fail("depends_outside_scope", {
      dependency: (service as { name?: string } | undefined)?.name ?? "undefined",
      versions: loadedVersions(),
    });
  }
  return wiring.scope.depends(service, edge) as Handle<T>;
}
