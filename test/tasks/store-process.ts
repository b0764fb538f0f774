// A process of its own on the same store. Its parent names the place and the work in its arguments, and ends it as it
// likes.
import type { TaskStore } from "../../src/tasks/task-store.js";
import { aClaim, aTask, openPlace, type StorePlace } from "./test-stores.js";

/** Work of a process. It sends its parent one message for each step. */
export type StoreWork =
  /** Submits small and large tasks without end, and reports each id after the store has answered. */
  | { readonly kind: "submit" }
  /** Claims tasks and reports their ids, but never ends them. */
  | { readonly kind: "hold"; readonly limit: number }
  /** Claims and completes tasks until none is left, and reports the ids that were recorded. */
  | { readonly kind: "run"; readonly claimers: number };

const [place, work] = process.argv.slice(2).map((text) => JSON.parse(text)) as [StorePlace, StoreWork];
const store = await openPlace(place);
const say = (message: unknown) => process.send?.(message);

if (work.kind === "submit") {
  for (let count = 0; ; count++) {
    const { id } = await store.submit(aTask({ input: new Uint8Array(count % 3 === 0 ? 100_000 : 100).fill(count) }));
    say({ id, fill: count & 0xff });
  }
}
if (work.kind === "hold") {
  say((await store.claim(aClaim({ limit: work.limit }))).map(({ lease }) => lease.id));
  // The open channel to the parent keeps this process alive.
}
if (work.kind === "run") {
  say("ready");
  await new Promise((resolve) => process.once("message", resolve));
  const stores: TaskStore[] = [store];
  while (stores.length < work.claimers) stores.push(await openPlace(place));
  say((await Promise.all(stores.map(completeAll))).flat());
  for (const one of stores) await one.close();
  process.disconnect();
}

async function completeAll(one: TaskStore): Promise<string[]> {
  const done: string[] = [];
  for (;;) {
    const claimed = await one.claim(aClaim({ limit: 5 }));
    if (claimed.length === 0) return done;
    for (const { lease } of claimed) {
      const output = Buffer.from(`${process.pid} ran ${lease.id}`);
      if (await one.finish(lease, { status: "completed", output })) done.push(lease.id);
    }
  }
}
