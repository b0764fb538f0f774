import { executionAsyncResource } from "node:async_hooks";

// biome-ignore lint/correctness/noUnusedVariables: what it holds must live; nobody reads it.
let tick: object | undefined;

/**
 * Keeps `process.nextTick` of this thread fast, for which it is to be called as early as possible.
 *
 * Node makes an object with computed keys for each tick, and V8 up to Node 24 remembers its hidden class only weakly: a full
 * garbage collection while no tick waits, as one does while files are loaded, makes each later `nextTick` take 300 ns instead
 * of 50, for ever. A request over HTTP has several: such an entry replica took 15 % more time for each. One such object that
 * lives keeps the class.
 */
export function keepTickShape(): void {
  process.nextTick(() => {
    // Of a tick this is that very object.
    tick ??= executionAsyncResource();
  });
}
