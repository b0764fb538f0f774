import { mkdtempSync, readdirSync } from "node:fs";
import type { Server } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import type { Clock, Timer } from "../base/clock.js";
import type { Logger } from "../base/logger.js";
import { keepOwnFolder, removePath } from "../base/own-folder.js";
import { fail } from "../failure/failures.js";
import { systemProblem } from "../failure/read-thrown.js";
import { isHeldBy } from "../held/file-store.js";
import { isSlabOf } from "../transport/slab-writer.js";
import { showLife, sweepDead } from "./sign-of-life.js";

/**
 * Time for which slabs and files of a process that has ended stay, for readers that have not opened them yet. A reader
 * that is busy for longer loses its link, whose other side is gone in any case.
 */
const slabGraceMs = 5_000;

/** A thread or process that has ended. */
interface GoneRuntime {
  /** Sockets of its replicas. */
  readonly addresses: readonly string[];
  /** Process id; absent for a thread. */
  readonly pid: number | undefined;
  readonly life: string;
}

/** Folder whose files lie in memory. */
const memoryPlace = "/dev/shm";

/**
 * Folders that the processes of one app share: one for Unix sockets and large files, one in memory for large tensors.
 * Only their owner can enter them.
 *
 * They are removed when the app stops, or when its process exits without a stop. When that process is killed, its
 * replicas remove them, or else the next app that starts. A folder that a cleaner removes meanwhile is made again.
 */
export class AppFolders {
  /** Absent where the machine has no file system in memory. */
  readonly slabs: string | undefined;
  readonly #clock: Clock;
  readonly #log: Logger;
  /** All folders for sockets so far. The last one takes new sockets. */
  readonly #sockets: string[] = [];
  readonly #timers = new Set<Timer>();
  readonly #signs: Server[] = [];
  readonly #removal = new AbortController();
  readonly #removeAtExit = () => this.remove();
  #lastAddress = 0;

  /** @throws {ServingError} `no_socket_folder`. */
  constructor(clock: Clock, log: Logger) {
    this.#clock = clock;
    this.#log = log;
    const sockets = this.#createSockets();
    this.slabs = this.#createSlabs();
    process.once("exit", this.#removeAtExit);
    void this.#sweep([dirname(sockets), ...(this.slabs === undefined ? [] : [memoryPlace])]);
  }

  /** Returns an unused path, one for each run of a replica. @throws {ServingError} `no_socket_folder`. */
  nextAddress(): string {
    return join(this.#keepSockets(), `${++this.#lastAddress}.sock`);
  }

  /** Folder on a disk for large values: that of the first sockets, since all processes must know it. */
  get disk(): string {
    return this.#sockets[0] as string;
  }

  /** Removes files that an ended thread or process left: sockets, slabs that no reader has opened, its files. */
  clearAfter(gone: GoneRuntime): void {
    for (const address of gone.addresses) removePath(address);
    if (this.#listLeftBy(gone).length === 0) return;
    const timer = this.#clock.setTimer(() => {
      this.#timers.delete(timer);
      for (const path of this.#listLeftBy(gone)) removePath(path);
    }, slabGraceMs);
    this.#timers.add(timer);
  }

  remove(): void {
    this.#removal.abort();
    for (const timer of this.#timers) timer.clear();
    this.#timers.clear();
    process.off("exit", this.#removeAtExit);
    for (const sign of this.#signs.splice(0)) sign.close();
    for (const folder of [...this.#sockets, this.slabs]) {
      if (folder !== undefined) removePath(folder);
    }
  }

  /** Returns the folder for the next socket: the last one, while it belongs to this user alone, or a new one. */
  #keepSockets(): string {
    const folder = this.#sockets.at(-1) as string;
    try {
      if (keepOwnFolder(folder, true))
        this.#log.warn({ folder }, `${folder} was removed, ${likelyCleaner}, and made again`);
      return folder;
    } catch (error) {
      const other = this.#createSockets();
      const problem = systemProblem(error);
      this.#log.warn(
        { folder, problem, other },
        `${folder} is gone, ${likelyCleaner}, and can't be made again: new replicas listen in ${other}`,
      );
      return other;
    }
  }

  #createSockets(): string {
    const { folder, refused } = createSocketFolder(listPlaces(process.env));
    this.#sockets.push(folder);
    this.#signs.push(showLife(folder));
    for (const { place, problem } of refused) {
      this.#log.info({ folder, place, problem }, `sockets are in ${folder}: ${place} can't be used: ${problem}`);
    }
    return folder;
  }

  #createSlabs(): string | undefined {
    if (process.platform !== "linux") return undefined;
    try {
      // Made with mode 0700.
      const folder = mkdtempSync(join(memoryPlace, "ekiben-"));
      this.#signs.push(showLife(folder));
      return folder;
    } catch (error) {
      const problem = systemProblem(error);
      this.#log.info(
        { folder: memoryPlace, problem },
        `large tensors go through sockets, which takes longer: ${memoryPlace} can't be used: ${problem}`,
      );
      return undefined;
    }
  }

  async #sweep(places: readonly string[]): Promise<void> {
    for (const place of new Set(places)) {
      const swept = await sweepDead(place, this.#removal.signal);
      if (swept.length > 0) this.#log.info({ folders: swept }, "folders of killed apps removed");
    }
  }

  #listLeftBy({ pid, life }: GoneRuntime): string[] {
    const isLeft = (name: string) => isHeldBy(name, life) || (pid !== undefined && isSlabOf(name, pid));
    return [this.slabs, this.disk].flatMap((folder) => {
      if (folder === undefined) return [];
      try {
        const names = readdirSync(folder).filter(isLeft);
        return names.map((name) => join(folder, name));
      } catch {
        // The folder was removed, or no file descriptor is left. Remaining files are removed with the app.
        return [];
      }
    });
  }
}

const likelyCleaner = "most likely by a cleaner of temporary folders";

/** Longest path of a Unix socket that the kernel takes, in bytes, without the zero at its end. */
const maxPathBytes = process.platform === "linux" ? 107 : 103;
/** Bytes that the app adds to the path of a place. Nine digits are enough sockets for a long life. */
const ownBytes = Buffer.byteLength("/ekiben-abcdef/123456789.sock");
const maxPlaceBytes = maxPathBytes - ownBytes;

/** A folder in which the app may make its own, and its name in messages. */
interface FolderChoice {
  readonly path: string;
  readonly name: string;
}

/** A place that can't be used, and the problem. */
interface Refused {
  readonly place: string;
  readonly problem: string;
}

/**
 * Lists places for folders: first the one for temporary files, then short paths, then one that containers can write to.
 */
export function listPlaces(env: NodeJS.ProcessEnv): FolderChoice[] {
  const variable = ["TMPDIR", "TMP", "TEMP"].find((name) => env[name]) ?? "the folder for temporary files";
  const runtime = env["XDG_RUNTIME_DIR"];
  return [
    { path: resolve(tmpdir()), name: variable },
    { path: "/tmp", name: "/tmp" },
    ...(runtime ? [{ path: resolve(runtime), name: "XDG_RUNTIME_DIR" }] : []),
    ...(process.platform === "linux" ? [{ path: "/dev/shm", name: "/dev/shm" }] : []),
  ];
}

/**
 * Makes a new folder for sockets, which only its owner may enter, in the first place that can be used.
 *
 * @returns The folder, and the places before it that can't be used.
 * @throws {ServingError} `no_socket_folder`, which names each place and its problem.
 */
export function createSocketFolder(places: readonly FolderChoice[]): {
  readonly folder: string;
  readonly refused: readonly Refused[];
} {
  const refused: Refused[] = [];
  for (const { path, name } of places) {
    const place = name === path ? path : `${name} (${path})`;
    const bytes = Buffer.byteLength(path);
    if (bytes > maxPlaceBytes) {
      const problem = `its path has ${bytes} bytes, and at most ${maxPlaceBytes} leave room for a socket's`;
      refused.push({ place, problem });
      continue;
    }
    try {
      // With mode 0700.
      return { folder: mkdtempSync(join(path, "ekiben-")), refused };
    } catch (error) {
      refused.push({ place, problem: systemProblem(error) });
    }
  }
  throw fail("no_socket_folder", { refused });
}
