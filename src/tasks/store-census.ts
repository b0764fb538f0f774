import type { Clock, Timer } from "../base/clock.js";
import type { Logger } from "../base/logger.js";
import type { HeldTasks, OpenTasks, StoreRun, TaskPlace, TaskStore } from "./task-store.js";

// Inspects the store of an app each minute, in one of its replicas: tasks that no api runs, and other programs that use
// the store.
//
// NC1  Tasks that will never run are logged: tasks of apis that the app does not have, of programs that do not run, and
//      tasks that are held.
// NC2  Each finding is logged once, and again when it has changed. Its counts are kept for metrics.
// NC3  A lease of a task whose api is gone ends when it expires, as any other lease.

/** Milliseconds between two looks. */
const intervalMs = 60_000;
/** Most names in one line of the log. */
const mostNamed = 20;
/** No limit: the api of these tasks is gone, so its number of attempts is unknown. */
const anyAttempts = 2 ** 31 - 1;

/** Parts that a census is made with. */
interface StoreCensusDeps {
  readonly run: StoreRun;
  /** Task apis of the app. */
  readonly own: readonly TaskPlace[];
  /** Location of the store, for people to read. */
  readonly place: string;
  readonly log: Logger;
  readonly clock: Clock;
  /** Called with the tasks of apis that the app does not have, after each count. */
  readonly onOrphans: (orphans: readonly OpenTasks[]) => void;
  /** Called with the held tasks of the app's own apis, after each count. */
  readonly onHeld: (held: readonly HeldTasks[]) => void;
  /** Returns true when a process of this machine is alive. */
  readonly isAlive: (pid: number) => boolean;
  /** Failure of a task whose last lease expired, in the wire's format. */
  readonly lostFailure: string;
}

export class StoreCensus {
  readonly #deps: StoreCensusDeps;
  readonly #seenRuns = new Set<string>();
  #timer: Timer | undefined;
  #looking: Promise<void> | undefined;
  #isStopped = false;
  #told = "";

  constructor(deps: StoreCensusDeps) {
    this.#deps = deps;
  }

  /** Looks at once, then each minute. */
  start(store: TaskStore): void {
    const { run, place, log } = this.#deps;
    log.info({ namespace: run.namespace, store: place }, "durable tasks are kept");
    this.#isStopped = false;
    this.#look(store);
  }

  /** Stops looking, and records in the store that the app has ended. */
  async stop(store: TaskStore): Promise<void> {
    this.#isStopped = true;
    this.#timer?.clear();
    await this.#looking;
    await store.leave(this.#deps.run.id).catch(() => {});
  }

  /** Looks at the store once. */
  async look(store: TaskStore): Promise<void> {
    const { run, own, lostFailure } = this.#deps;
    for (const place of own) await store.adopt(place);
    const runs = await store.enroll(run);
    this.#tellRuns(runs);
    const open = await store.listOpen((place) => own.some((one) => isSame(one, place)));
    const orphans = open.filter(({ namespace }) => namespace === run.namespace || namespace === "");
    for (const { namespace, service, api, running } of orphans) {
      const request = { namespace, service, api, maxAttempts: anyAttempts, lostFailure };
      if (running > 0) await store.release(request);
    }
    const namespaces = new Set([run.namespace, "", ...runs.map((other) => other.namespace)]);
    const held = (await store.listHeld()).filter((place) => own.some((one) => isSame(one, place)));
    this.#tell(
      orphans,
      open.filter(({ namespace }) => !namespaces.has(namespace)),
      held,
    );
    this.#deps.onOrphans(orphans);
    this.#deps.onHeld(held);
  }

  #look(store: TaskStore): void {
    const { log, clock } = this.#deps;
    this.#looking = this.look(store).catch((error: unknown) => {
      log.debug({ err: error }, "the task store could not be inspected; trying again in a minute");
    });
    if (!this.#isStopped) this.#timer = clock.setTimer(() => this.#look(store), intervalMs);
  }

  #tellRuns(runs: readonly StoreRun[]): void {
    const { run, log, isAlive } = this.#deps;
    for (const other of runs) {
      if (other.namespace !== run.namespace || this.#seenRuns.has(other.id)) continue;
      this.#seenRuns.add(other.id);
      const isHere = other.host === run.host;
      if (other.session === run.session || (isHere && !isAlive(other.pid))) continue;
      const fields = { namespace: run.namespace, host: other.host, pid: other.pid };
      const text = "another program runs the tasks of this namespace too";
      if (!isHere) log.info(fields, `${text}, on another machine`);
      else log.warn(fields, `${text}; unless both are the same app, give one its own tasks.namespace`);
    }
  }

  #tell(orphans: readonly OpenTasks[], foreign: readonly OpenTasks[], held: readonly HeldTasks[]): void {
    const told = JSON.stringify(
      [orphans, foreign, held].map((all) => all.map(({ namespace, service, api }) => [namespace, service, api])),
    );
    if (told === this.#told) return;
    this.#told = told;
    const { log } = this.#deps;
    if (orphans.length > 0) {
      const move = `move them: ekiben tasks move ${nameOf(orphans[0] as OpenTasks)} <Service>.<task>; or cancel them`;
      log.warn(
        { tasks: countByName(orphans, nameOf) },
        `${sum(orphans)} tasks wait for apis that this app does not have: ${list(orphans, nameOf)}; ${move}`,
      );
    }
    if (foreign.length > 0) {
      const nameSpace = ({ namespace }: OpenTasks) => namespace;
      const way = "start that program; if they are this app's, set tasks.namespace, or move them";
      log.warn(
        { tasks: countByName(foreign, nameSpace) },
        `${sum(foreign)} tasks wait in namespaces that no running program has: ${list(foreign, nameSpace)}; ${way}`,
      );
    }
    if (held.length > 0) {
      const way = `see ekiben tasks list --status held; run them again: ekiben tasks retry ${nameOf(held[0] as HeldTasks)}`;
      log.warn(
        { tasks: countByName(held, nameOf) },
        `${sum(held)} tasks are held, since their stored input was refused: ${list(held, nameOf)}; ${way}`,
      );
    }
  }
}

const isSame = (one: TaskPlace, other: TaskPlace): boolean =>
  one.namespace === other.namespace && one.service === other.service && one.api === other.api;

const nameOf = ({ service, api }: TaskPlace): string => `${service}.${api}`;

const countOf = (one: OpenTasks | HeldTasks): number =>
  "count" in one ? one.count : one.waiting + one.running + one.held;

const sum = (all: readonly (OpenTasks | HeldTasks)[]): number => all.reduce((total, one) => total + countOf(one), 0);

function countByName<T extends OpenTasks | HeldTasks>(
  all: readonly T[],
  name: (one: T) => string,
): Record<string, number> {
  const counts = new Map<string, number>();
  for (const one of all) counts.set(name(one), (counts.get(name(one)) ?? 0) + countOf(one));
  return Object.fromEntries([...counts].slice(0, mostNamed));
}

function list<T extends OpenTasks | HeldTasks>(all: readonly T[], name: (one: T) => string): string {
  const named = Object.entries(countByName(all, name)).map(([text, count]) => `${text} (${count})`);
  const more = new Set(all.map(name)).size - named.length;
  return [...named, ...(more > 0 ? [`and ${more} more`] : [])].join(", ");
}
