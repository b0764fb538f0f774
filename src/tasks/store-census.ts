import type { Clock, Timer } from "../base/clock.js";
import type { Logger } from "../base/logger.js";
import type { OpenTasks, StoreRun, TaskPlace, TaskStore } from "./task-store.js";

// Looks over the store of an app, in one of its replicas: whose tasks are in it, and who else runs some.
//
// C1  What nobody will ever run is told: tasks of apis that the app does not have, and of programs that do not run.
// C2  Each is told once, and again when it has changed; figures are kept for metrics.
// C3  A lease of a task that no api claims any more ends as any other does, when it has run out.

/** How often it looks. */
const intervalMs = 60_000;
/** Names in one line of the log. */
const mostNamed = 20;
/** No bound of an api: its tasks are not run here. */
const anyAttempts = 2 ** 31 - 1;

/** What a census needs to know. */
export interface StoreCensusDeps {
  readonly run: StoreRun;
  /** Each task of the app. */
  readonly own: readonly TaskPlace[];
  /** Where the store is, for people to read. */
  readonly place: string;
  readonly log: Logger;
  readonly clock: Clock;
  /** Gets the tasks of apis that the app does not have, each time they were counted. */
  readonly onOrphans: (orphans: readonly OpenTasks[]) => void;
  /** Whether a process of this machine lives. */
  readonly isAlive: (pid: number) => boolean;
  /** Why a task failed whose last lease ran out, as the wire writes failures. */
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

  /** Begins to look, at once and then each minute. */
  start(store: TaskStore): void {
    const { run, place, log } = this.#deps;
    log.info({ namespace: run.namespace, store: place }, "durable tasks are kept");
    this.#isStopped = false;
    this.#look(store);
  }

  /** Ends it, and says so in the store. */
  async stop(store: TaskStore): Promise<void> {
    this.#isStopped = true;
    this.#timer?.clear();
    await this.#looking;
    await store.leave(this.#deps.run.id).catch(() => {});
  }

  /** Looks once. */
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
    this.#tell(
      orphans,
      open.filter(({ namespace }) => !namespaces.has(namespace)),
    );
    this.#deps.onOrphans(orphans);
  }

  #look(store: TaskStore): void {
    const { log, clock } = this.#deps;
    this.#looking = this.look(store).catch((error: unknown) => {
      log.debug({ err: error }, "the task store could not be looked over; it is tried again");
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

  #tell(orphans: readonly OpenTasks[], foreign: readonly OpenTasks[]): void {
    const told = JSON.stringify(
      [orphans, foreign].map((all) => all.map(({ namespace, service, api }) => [namespace, service, api])),
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
  }
}

const isSame = (one: TaskPlace, other: TaskPlace): boolean =>
  one.namespace === other.namespace && one.service === other.service && one.api === other.api;

const nameOf = ({ service, api }: TaskPlace): string => `${service}.${api}`;

const countOf = ({ waiting, running }: OpenTasks): number => waiting + running;

const sum = (all: readonly OpenTasks[]): number => all.reduce((total, one) => total + countOf(one), 0);

function countByName(all: readonly OpenTasks[], name: (one: OpenTasks) => string): Record<string, number> {
  const counts = new Map<string, number>();
  for (const one of all) counts.set(name(one), (counts.get(name(one)) ?? 0) + countOf(one));
  return Object.fromEntries([...counts].slice(0, mostNamed));
}

function list(all: readonly OpenTasks[], name: (one: OpenTasks) => string): string {
  const named = Object.entries(countByName(all, name)).map(([text, count]) => `${text} (${count})`);
  const more = new Set(all.map(name)).size - named.length;
  return [...named, ...(more > 0 ? [`and ${more} more`] : [])].join(", ");
}
