import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * Where the processes of one app meet: Unix sockets in one folder, large tensors in another that is in memory. Both can be
 * entered by their owner alone.
 */
export class AppFolders {
  readonly #sockets: string;
  /** Absent where the machine has no file system in memory. */
  readonly slabs: string | undefined;
  #lastAddress = 0;

  constructor() {
    // mkdtemp makes folders with mode 0700. The path of a socket is bounded to about 100 bytes.
    this.#sockets = mkdtempSync(join(tmpdir(), "ekiben-"));
    this.slabs = createSlabFolder();
  }

  /** A path nothing listens on yet; one for each life of a replica. */
  nextAddress(): string {
    return join(this.#sockets, `${++this.#lastAddress}.sock`);
  }

  remove(): void {
    for (const folder of [this.#sockets, this.slabs]) {
      if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
    }
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
