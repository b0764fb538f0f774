import { readFileSync } from "node:fs";
import type { Clock, Timer } from "../../base/clock.js";

/** How often it is looked whether npm is still there. */
const lookMs = 1_000;

/** What is known of a process above this one. */
export interface ParentProcess {
  /** `"sh"`, `"npm start"` */
  readonly name: string;
  readonly parent: number;
}

/** What a watch needs of the system. */
export interface ParentWatchDeps {
  readonly clock: Clock;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly readParentId: () => number;
  /** `undefined` where there is no such process, or nothing is known of it. */
  readonly read: (pid: number) => ParentProcess | undefined;
  readonly onGone: () => void;
}

/**
 * Tells when npm, npx or the like has ended that started this process. They pass no signal on and leave it behind, where
 * nobody would ever end it.
 *
 * Told only of a process that npm waits for: as its child, or that of a shell which waits, too. One that a script has put
 * into the background has no such shell any more when npm ends, and lives on, as its author wanted.
 *
 * @returns Ends the watch. Does nothing where npm did not start this process, or the system has no `/proc`.
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

/** A process as Linux shows it. */
export function readProcess(pid: number): ParentProcess | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name stands in brackets, and may have brackets itself.
    const end = text.lastIndexOf(")");
    const [, parent] = text.slice(end + 2).split(" ");
    return { name: text.slice(text.indexOf("(") + 1, end), parent: Number(parent) };
  } catch {
    return undefined;
  }
}
