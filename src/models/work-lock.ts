import { randomUUID } from "node:crypto";
import { readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { type Clock, pause } from "../base/clock.js";

// Lets one of several processes do a piece of work, by a file that its owner touches while it lives.
//
// WL1  The lock of an owner that has ended is taken over: at once if it was a process of this machine, else when it was
//      not touched for a while.
// WL2  It saves work and is no proof: after a take-over two processes may work at the same time. What they make must
//      stay right then.

/** Interval at which the owner touches the file, and age from which the owner counts as gone. */
const touchMs = 5_000;
const goneMs = 30_000;
/** Interval at which others look. */
const lookMs = 200;

/** Parts of a lock. */
export interface LockDeps {
  readonly path: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Returns true when the work was done by another process, so that it need not begin. */
  readonly isDone: () => Promise<boolean>;
  /** Called once if it has to wait. */
  readonly onWait: () => void;
}

/**
 * Runs work that one process at a time should do, unless it is done already.
 *
 * @returns `undefined` when another process has done it.
 */
export async function runLocked<T>(deps: LockDeps, work: () => Promise<T>): Promise<T | undefined> {
  const { path, clock, signal, isDone, onWait } = deps;
  const id = randomUUID();
  let hasWaited = false;
  while (!(await take(path, id))) {
    if (await isDone()) return undefined;
    if (await isAbandoned(path)) {
      await rm(path, { force: true });
      continue;
    }
    if (!hasWaited) onWait();
    hasWaited = true;
    await pause(clock, lookMs, signal);
    signal.throwIfAborted();
  }
  const touching = setInterval(() => void touch(path), touchMs);
  touching.unref();
  try {
    if (await isDone()) return undefined;
    return await work();
  } finally {
    clearInterval(touching);
    if ((await readOwner(path))?.id === id) await rm(path, { force: true });
  }
}

interface Owner {
  readonly id: string;
  readonly host: string;
  readonly pid: number;
}

async function take(path: string, id: string): Promise<boolean> {
  const owner: Owner = { id, host: hostname(), pid: process.pid };
  try {
    await writeFile(path, JSON.stringify(owner), { flag: "wx" });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

async function touch(path: string): Promise<void> {
  const now = new Date();
  await utimes(path, now, now).catch(() => {});
}

async function readOwner(path: string): Promise<Owner | undefined> {
  try {
    return JSON.parse(await readFile(path, "utf8")) as Owner;
  } catch {
    return undefined;
  }
}

/** True for the lock of a process that has ended (WL1). */
async function isAbandoned(path: string): Promise<boolean> {
  const owner = await readOwner(path);
  if (owner?.host === hostname() && owner.pid !== process.pid && !isAlive(owner.pid)) return true;
  try {
    return Date.now() - (await stat(path)).mtimeMs > goneMs;
  } catch {
    return false;
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
