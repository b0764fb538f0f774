import { readFileSync } from "node:fs";
import type { Clock, Timer } from "../../base/clock.js";

/** Interval of checking that npm still runs. */
const lookMs = 1_000;

/** Ancestor of this process. */
export interface ParentProcess {
  /** Name such as `"sh"` or `"npm start"`. */
  readonly name: string;
  /** Id of its parent. */
  readonly parent: number;
}

/** Dependencies of `watchParent`. */
export interface ParentWatchDeps {
  readonly clock: Clock;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly readParentId: () => number;
  /** Reads one process; `undefined` when there is no such process, or the system does not show it. */
  readonly read: (pid: number) => ParentProcess | undefined;
  readonly onGone: () => void;
}

/**
 * Calls `onGone` when the npm (or npx, or a similar program) that started this process has ended. Such programs pass no
 * signals on, so this process would run forever.
 *
 * Applies only to a process that npm waits for: a child of npm, or of a shell that waits too. A script can put a
 * process into the background on purpose; its shell has ended before npm ends, and the process keeps running.
 *
 * @returns A function that ends the watch. Does nothing if npm did not start this process, or without `/proc`.
 */
export function watchParent({ clock, env, readParentId, read, onGone }: ParentWatchDeps): () => void {
  if (env["npm_execpath"] === undefined && env["npm_lifecycle_event"] === undefined) return () => {};
  const parentId = readParentId();
  const parent = read(parentId);
  if (parent === undefined || parent.parent <= 1) return () => {};
  const isShell = /^(sh|dash|bash|zsh|ash|busybox|ksh)$/.test(parent.name);
  const isGone = (): boolean => {
    if (!isShell) return readParentId() !== parentId;
    return readParentId() === parentId && read(parentId)?.parent !== parent.parent;
  };
  let timer: Timer;
  const look = () => {
    if (isGone()) onGone();
    else timer = clock.setTimer(look, lookMs);
  };
  timer = clock.setTimer(look, lookMs);
  return () => timer.clear();
}

/** Reads a process from `/proc` of Linux. */
export function readProcess(pid: number): ParentProcess | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name is in brackets, and may contain brackets itself.
    const end = text.lastIndexOf(")");
    const [, parent] = text.slice(end + 2).split(" ");
    return { name: text.slice(text.indexOf("(") + 1, end), parent: Number(parent) };
  } catch {
    return undefined;
  }
}
