import { lstatSync, readdirSync, rmSync } from "node:fs";
import net from "node:net";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { isOwnFolder } from "../base/own-folder.js";

// How an app that starts tells the folders of others that live from those of one that was killed, and removes the latter.
//
// L1  A folder is removed only when it is this user's, has the name and the rights of an app's folder, and the socket in it
//     by which its app would answer was refused twice, some time apart. One without that socket is left alone.
// L2  A socket answers for its process alone, whatever namespaces both are in: no number that another might have is compared.
// L3  Nothing is followed: neither a link in the place of a folder nor one inside.

const signName = "alive";
const folderForm = /^ekiben-[A-Za-z0-9]{6}$/;
/** A socket that is just being made refuses as well. */
const betweenTriesMs = 250;
const answerLimitMs = 1_000;
/** A start is no time for more. */
const maxSwept = 64;

/** Answers in a folder for as long as this process lives; it does not keep the process alive. */
export function showLife(folder: string): net.Server {
  const server = net.createServer((socket) => socket.destroy());
  // Without it the folder is never swept, and nothing else is wrong.
  server.on("error", () => {});
  server.listen(join(folder, signName));
  server.unref();
  return server;
}

/**
 * Removes the folders that apps of this user have left in a place, since they were killed. Never rejects.
 *
 * @param signal Ends it early.
 * @returns The folders that were removed.
 */
export async function sweepDead(place: string, signal: AbortSignal): Promise<string[]> {
  const swept: string[] = [];
  for (const folder of listFolders(place)) {
    if (!(await isRefused(folder))) continue;
    await pause(betweenTriesMs, undefined, { ref: false, signal }).catch(() => {});
    if (signal.aborted) return swept;
    if ((await isRefused(folder)) && isRemoved(folder)) swept.push(folder);
  }
  return swept;
}

function listFolders(place: string): string[] {
  const names = attempt(() => readdirSync(place)) ?? [];
  const folders = names.filter((name) => folderForm.test(name)).map((name) => join(place, name));
  const isCandidate = (folder: string) =>
    isOwnFolder(lstatSync(folder)) && lstatSync(join(folder, signName)).isSocket();
  return folders.filter((folder) => attempt(() => isCandidate(folder)) === true).slice(0, maxSwept);
}

/** False where another app was quicker, or something in it is not this user's to remove. */
function isRemoved(folder: string): boolean {
  return attempt(() => rmSync(folder, { recursive: true }) ?? true) === true;
}

function attempt<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch {
    return undefined;
  }
}

/** Whether nobody listens there. Anything else that goes wrong says nothing. */
function isRefused(folder: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(join(folder, signName));
    socket.unref();
    const end = (isDead: boolean) => {
      socket.destroy();
      resolve(isDead);
    };
    socket.setTimeout(answerLimitMs, () => end(false));
    socket.once("connect", () => end(false));
    socket.once("error", (error: NodeJS.ErrnoException) => end(error.code === "ECONNREFUSED"));
  });
}
