import { randomUUID } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";
import { type Clock, pause } from "../base/clock.js";
import type { Logger } from "../base/logger.js";
import { GrowingPause } from "../base/repeat-pace.js";
import { fail } from "../failure/failures.js";
import { messageWithCauses } from "../failure/to-serving-error.js";
import type { OnceRecord, TaskStore } from "../tasks/task-store.js";
import { decodeError, encodeError } from "../transport/wire-error.js";

// Work that runs once for an app, as one replica runs it at its start or waits for it.
//
// RO1  Of all replicas that begin work, one runs it. Its lease is renewed until the work has ended.
// RO2  Work that is done never runs again under its name.
// RO3  Whoever saw a run and waits for it fails when that run fails. A start after that runs the work again.
// RO4  A run whose holder has ended is taken over: at once where that is known, else when its lease expires.
// RO5  A wait ends with the start of its replica, or its signal.
// RO6  Work that still runs when its start has failed keeps its lease for a limited time: work that hangs can't hold up
//      later starts for ever.

const firstPauseMs = 20;
const longestPauseMs = 500;

/** Parts that the work of one start needs. */
interface OnceRunsDeps {
  /** `"Model#0"`. */
  readonly id: string;
  readonly namespace: string;
  /** Life of this thread or process, unique. */
  readonly life: string;
  readonly leaseMs: number;
  readonly openStore: (signal: AbortSignal) => Promise<TaskStore>;
  /** Returns true when a process of this pid space is alive. */
  readonly isAlive: (pid: number) => boolean;
  /** Calls `tell` for each life that has ended. */
  readonly endedLives: { watch(tell: (life: string) => void): () => void };
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

export class OnceRuns {
  readonly #deps: OnceRunsDeps;
  readonly #ended = new AbortController();
  readonly #signal: AbortSignal;
  readonly #holder: string;
  readonly #endedLives = new Set<string>();
  readonly #pidSpace = readPidSpace();
  /** Reading of the clock after which no lease is renewed. */
  #renewsUntil = Number.POSITIVE_INFINITY;

  constructor(deps: OnceRunsDeps) {
    this.#deps = deps;
    this.#signal = AbortSignal.any([this.#ended.signal, deps.signal]);
    const place = `${deps.id}@${hostname()}:${process.pid}/${deps.life}`;
    this.#holder = this.#pidSpace === undefined ? place : `${place}/${this.#pidSpace}`;
  }

  /**
   * Ends all waits (RO5): the replica has started, or could not. Work that still runs is recorded when it ends.
   *
   * @param leaseLimitMs Time for which its lease is still renewed (RO6). Default: until it ends.
   */
  end(leaseLimitMs = Number.POSITIVE_INFINITY): void {
    this.#renewsUntil = this.#deps.clock.now() + leaseLimitMs;
    this.#ended.abort();
  }

  /** Runs the work, or waits until another replica has done it. @returns True where it ran here. */
  async run(name: string, work: () => unknown): Promise<boolean> {
    if (typeof name !== "string" || name.length < 1 || name.length > 255) {
      const value = typeof name === "string" ? `${name.length} characters` : `a ${typeof name}`;
      throw fail("invalid_once_name", { value });
    }
    const store = await this.#deps.openStore(this.#signal);
    const endWatch = this.#deps.endedLives.watch((life) => this.#endedLives.add(life));
    try {
      const token = await this.#begin(store, name);
      if (token === undefined) return false;
      await this.#runHeld(store, { name, token, work });
      return true;
    } finally {
      endWatch();
    }
  }

  /** Waits until the work may run here. @returns The token of the run; `undefined` when the work is done. */
  async #begin(store: TaskStore, name: string): Promise<string | undefined> {
    const { namespace, leaseMs, clock } = this.#deps;
    const token = randomUUID();
    const pauses = new GrowingPause(firstPauseMs, longestPauseMs);
    let awaited: string | undefined;
    for (;;) {
      this.#signal.throwIfAborted();
      const found = await store.readOnce({ namespace, name });
      if (found?.isDone === true) return undefined;
      if (found?.failure !== undefined && found.token === awaited) throw decodeError(found.failure);
      const isGone = found !== undefined && this.#isGone(found);
      if (found === undefined || isGone || found.failure !== undefined || found.leaseMs <= 0) {
        const request = { namespace, name, token, holder: this.#holder, leaseMs, after: found?.token, isGone };
        if (await store.beginOnce(request)) return token;
      } else {
        awaited = found.token;
      }
      await pause(clock, pauses.begin(), this.#signal);
    }
  }

  /**
   * True when the holder of a run is known to have ended: its thread, or its process in this pid space. Containers may
   * share a host name, and not their pids: any other process is left to its lease.
   */
  #isGone({ holder }: OnceRecord): boolean {
    const [, host, pid, life = "", space] = /@(.*):(\d+)\/([^/]*)(?:\/([^/]*))?$/.exec(holder) ?? [];
    const isNear = space !== undefined && space === this.#pidSpace && host === hostname();
    return this.#endedLives.has(life) || (isNear && !this.#deps.isAlive(Number(pid)));
  }

  async #runHeld(
    store: TaskStore,
    { name, token, work }: { name: string; token: string; work: () => unknown },
  ): Promise<void> {
    const { namespace, log } = this.#deps;
    const place = { namespace, name };
    const stopRenewing = this.#renew(store, name, token);
    log.info({ once: name }, "work that runs once for the app has begun");
    try {
      await work();
    } catch (error) {
      stopRenewing();
      const failure = encodeError(fail("once_failed", { name, error: messageWithCauses(error) }));
      await store.endOnce(place, token, failure).catch((err: unknown) => {
        log.warn({ err, once: name }, "the failure of work that runs once could not be recorded; its lease expires");
      });
      throw error;
    }
    const isRecorded = await store.endOnce(place, token, undefined).finally(stopRenewing);
    if (!isRecorded) throw fail("once_failed", { name, error: "its lease was lost, and another replica has begun it" });
    log.info({ once: name }, "work that runs once for the app is done");
  }

  /** Renews the lease of a run (RO1). @returns A function that ends it. */
  #renew(store: TaskStore, name: string, token: string): () => void {
    const { namespace, leaseMs, clock, log } = this.#deps;
    let isStopped = false;
    const renewLater = () =>
      clock.setTimer(() => {
        if (clock.now() >= this.#renewsUntil) {
          log.warn(
            { once: name },
            "work that runs once still runs after its start has failed; its lease is no longer renewed",
          );
          return;
        }
        store
          .renewOnce({ namespace, name }, token, leaseMs)
          .catch((err: unknown) => log.warn({ err, once: name }, "a lease could not be renewed; trying again"))
          .finally(() => {
            if (!isStopped) timer = renewLater();
          });
      }, leaseMs / 3);
    let timer = renewLater();
    return () => {
      isStopped = true;
      timer.clear();
    };
  }
}

/**
 * Names the running system and the namespace in which process ids of this process mean something; `undefined` where the
 * platform tells neither.
 */
export function readPidSpace(): string | undefined {
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
    const namespace = /\d+/.exec(readlinkSync("/proc/self/ns/pid"))?.[0];
    return namespace === undefined ? undefined : `${boot}.${namespace}`;
  } catch {
    return undefined;
  }
}
