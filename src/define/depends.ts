import { loadedVersions, shareState } from "../base/shared-state.js";
import { fail } from "../failure/failures.js";
import type { Handle } from "./handle-type.js";
import { readServiceName, type ServiceHooks } from "./service.js";

/** What may be said about one edge of the graph. */
export interface EdgeOptions {
  /** Bounds each call over this edge; can only shorten what the caller has left. */
  readonly timeoutMs?: number;
}

/** A class whose instances are services. */
export type ServiceClass<T extends ServiceHooks = ServiceHooks> = new () => T;

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

// A script that both defines services and serves them is loaded again for each replica. There `serve()` and `compose()` start
// nothing:
//
// H1  The first that is called with the class of the replica hands it over and never returns.
// H2  Of the others, one that had returned in the app by the time the replica was ordered returns here too, so that the script
//     comes as far as it had come there. The rest never returns.

/** A server that a program had started when it ordered a replica. Plain data. */
export interface EarlierServer {
  /** Name of its entry service. */
  readonly service: string;
  readonly url: string;
  readonly port: number;
}

/** What a script does in a replica: stop there, or go on as if it had started a server. */
type Handover = { readonly kind: "stop" } | { readonly kind: "go on"; readonly server: EarlierServer };

interface Handovers {
  /** In a replica: what is waited for. */
  awaited: Awaited | undefined;
  /** In an app: what `serve()` has started, in order. */
  readonly servers: EarlierServer[];
}

interface Awaited {
  readonly service: string;
  /** Those whose `serve()` has not been met yet. */
  readonly earlier: EarlierServer[];
  readonly receive: (entry: ServiceClass) => void;
  readonly onOther: (service: string) => void;
}

const handovers = shareState("handovers", (): Handovers => ({ awaited: undefined, servers: [] }));

/**
 * Makes `serve()` and `compose()` hand over from now on; for the threads and processes of replicas alone.
 *
 * @param onOther Told of each entry service that is met and is another.
 */
export function expectHandover(
  service: string,
  earlier: readonly EarlierServer[],
  onOther: (service: string) => void = () => {},
): Promise<ServiceClass> {
  return new Promise((receive) => {
    handovers.awaited = { service, earlier: [...earlier], receive, onOther };
  });
}

/** @returns `undefined` where this is no replica, and `entry` is to be started. */
export function handOver(entry: ServiceClass): Handover | undefined {
  const { awaited } = handovers;
  if (awaited === undefined) return undefined;
  const service = readServiceName(entry);
  if (service === awaited.service) {
    awaited.receive(entry);
    return { kind: "stop" };
  }
  awaited.onOther(service);
  const index = awaited.earlier.findIndex((server) => server.service === service);
  const [server] = index < 0 ? [] : awaited.earlier.splice(index, 1);
  return server === undefined ? { kind: "stop" } : { kind: "go on", server };
}

/** Notes what `serve()` has started, for the replicas that are ordered after it. */
export function noteServer(server: EarlierServer): void {
  handovers.servers.push(server);
}

/** What `serve()` has started in this thread so far, closed or not. */
export const listServers = (): readonly EarlierServer[] => [...handovers.servers];
