import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Clock, Timer } from "../base/clock.js";
import { isSlabOf } from "../transport/slab-name.js";

/**
 * How long a slab of a process that has ended stays for a reader that has not come to it. One that is busy for longer loses
 * its link, whose other side is gone in any case.
 */
const slabGraceMs = 5_000;

/**
 * Where the processes of one app meet: Unix sockets in one folder, large tensors in another that is in memory. Both can be
 * entered by their owner alone.
 *
 * They are removed when the app stops, or when its process exits without that; where it is killed, its replicas do it.
 */
export class AppFolders {
  readonly #sockets: string;
  /** Absent where the machine has no file system in memory. */
  readonly slabs: string | undefined;
  readonly #clock: Clock;
  readonly #timers = new Set<Timer>();
  readonly #removeAtExit = () => this.remove();
  #lastAddress = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    // mkdtemp makes folders with mode 0700. The path of a socket is bounded to about 100 bytes.
    this.#sockets = mkdtempSync(join(tmpdir(), "ekiben-"));
    this.slabs = createSlabFolder();
    process.once("exit", this.#removeAtExit);
  }

  /** A path nothing listens on yet; one for each life of a replica. */
  nextAddress(): string {
    return join(this.#sockets, `${++this.#lastAddress}.sock`);
  }

  /**
   * Removes what a replica has not removed itself, since it was killed: its socket, and slabs that no reader has opened.
   *
   * @param pid Of its process; absent where it had none of its own.
   */
  clearAfter(address: string, pid: number | undefined): void {
    rmSync(address, { force: true });
    if (pid === undefined || this.#listSlabsOf(pid).length === 0) return;
    const timer = this.#clock.setTimer(() => {
      this.#timers.delete(timer);
      for (const slab of this.#listSlabsOf(pid)) rmSync(slab, { force: true });
    }, slabGraceMs);
    this.#timers.add(timer);
  }

  remove(): void {
    for (const timer of this.#timers) timer.clear();
    this.#timers.clear();
    process.off("exit", this.#removeAtExit);
    for (const folder of [this.#sockets, this.slabs]) {
      if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
    }
  }

  #listSlabsOf(pid: number): string[] {
    const { slabs } = this;
    if (slabs === undefined || !existsSync(slabs)) return [];
    return readdirSync(slabs)
      .filter((name) => isSlabOf(name, pid))
      .map((name) => join(slabs, name));
  }
}

function createSlabFolder(): string | undefined {
  if (process.platform !== "linux") return undefined;
  try {
    return mkdtempSync("/dev/shm/ekiben-");
  } catch {
    return undefined;
  }
}
