import { shareState } from "../base/shared-state.js";
import type { ServiceClass } from "./depends.js";
import { readServiceName } from "./service.js";

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
export type Handover = { readonly kind: "stop" } | { readonly kind: "go on"; readonly server: EarlierServer };

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
