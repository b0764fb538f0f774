import type { ServiceClass } from "./depends.js";

/**
 * Where a script that both defines services and serves them is loaded again for a replica: its `serve()` or `compose()` must not start a
 * second app, it only tells the replica which class it would have served.
 */
let receive: ((entry: ServiceClass) => void) | undefined;

/** Makes `serve()` hand over its entry class from now on; for the threads and processes of replicas alone. */
export function expectHandover(): Promise<ServiceClass> {
  return new Promise((resolve) => {
    receive = resolve;
  });
}

/** @returns Whether the class was handed over, in which case nothing is to be served here. */
export function handOver(entry: ServiceClass): boolean {
  receive?.(entry);
  return receive !== undefined;
}
