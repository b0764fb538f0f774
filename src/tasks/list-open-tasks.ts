import { placeKey } from "./task-row.js";
import { type HeldTasks, mostCounted, type OpenTasks, type TaskPlace } from "./task-store.js";

/** Most apis of which a store lists the tasks that wait, and the tasks that run or sleep. */
const mostPlaces = 1_000;

/** Reads of a store, each of one short statement. */
interface OpenReader {
  /** Each returns the first api after `last`, in one order, that has tasks in a state; `undefined` after the last. */
  readonly nextPlaces: readonly ((last: TaskPlace) => Promise<TaskPlace | undefined>)[];
  /** Counts the tasks of an api that wait, and those that run. */
  readonly countOpen: (place: TaskPlace) => Promise<{ readonly waiting: number; readonly running: number }>;
  readonly listHeld: () => Promise<readonly HeldTasks[]>;
}

/** Lists the apis with unfinished tasks, and their numbers; see `TaskStore.listOpen`. */
export async function listOpenTasks(
  { nextPlaces, countOpen, listHeld }: OpenReader,
  isLeftOut: (place: TaskPlace) => boolean,
): Promise<readonly OpenTasks[]> {
  const places = new Map<string, TaskPlace>();
  for (const findNext of nextPlaces) {
    let last: TaskPlace | undefined = { namespace: "", service: "", api: "" };
    for (let i = 0; i < mostPlaces && last !== undefined; i++) {
      last = await findNext(last);
      if (last !== undefined && !isLeftOut(last)) places.set(placeKey(last), last);
    }
  }
  const held = new Map<string, number>();
  for (const { count, ...place } of await listHeld()) {
    const key = placeKey(place);
    held.set(key, count);
    if (!isLeftOut(place)) places.set(key, place);
  }
  const open: OpenTasks[] = [];
  for (const [key, { namespace, service, api }] of places) {
    const place = { namespace, service, api };
    const counts = await countOpen(place);
    const waiting = Math.min(counts.waiting, mostCounted);
    open.push({ ...place, waiting, running: counts.running, held: held.get(key) ?? 0 });
  }
  return open.filter(({ waiting, running, held: kept }) => waiting + running + kept > 0);
}
