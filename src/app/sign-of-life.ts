import { lstatSync, readdirSync, rmSync } from "node:fs";
import net from "node:net";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { isOwnFolder } from "../base/own-folder.js";

// Signs of life in the folders of apps. An app that starts removes the folders of apps that were killed.
//
// AL1  A folder is removed only when it belongs to this user, has the name and the rights of an app's folder, and its
//      socket refused a connection twice, some time apart. A folder without that socket is left alone.
// AL2  A socket answers only for its own process, in any namespace. No process ids are compared, since namespaces reuse
//      them.
// AL3  Links are not followed, neither one in the place of a folder nor one inside.

const signName = "alive";
const folderForm = /^ekiben-[A-Za-z0-9]{6}$/;
/** Pause between two tries: a socket that is just being made refuses, too. */
const betweenTriesMs = 250;
const answerLimitMs = 1_000;
/** Most folders that one start looks at. */
const maxSwept = 64;

/** Answers on a socket in a folder while this process lives. It does not keep the process alive. */
export function showLife(folder: string): net.Server {
  const server = net.createServer((socket) => socket.destroy());
  // Without the socket the folder is never swept. Nothing else depends on it.
  server.on("error", () => {});
  server.listen(join(folder, signName));
  server.unref();
  return server;
}

/**
 * Removes the folders that killed apps of this user have left in a place. Never rejects.
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
    if ((await isRefused(folder)) && removeFolder(folder)) swept.push(folder);
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

/** Removes a folder. @returns False when another app was quicker or this user may not remove it. */
function removeFolder(folder: string): boolean {
  return attempt(() => rmSync(folder, { recursive: true }) ?? true) === true;
}

function attempt<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch {
    return undefined;
  }
}

/** Resolves with true when the socket refuses a connection. Any other error is no proof that the app is dead. */
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
