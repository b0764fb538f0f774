import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { systemProblem } from "../base/system-problem.js";
import { fail } from "../failure/fail.js";

/** What the kernel takes for the path of a Unix socket, in bytes, without the zero at its end. */
const maxPathBytes = process.platform === "linux" ? 107 : 103;
/** In the folder, as many sockets as a long life takes: `/ekiben-abcdef/123456789.sock`. */
const ownBytes = Buffer.byteLength("/ekiben-abcdef/123456789.sock");
const maxPlaceBytes = maxPathBytes - ownBytes;

/** A folder in which the app's own may be made, and what names it to whoever runs the app. */
export interface Place {
  readonly path: string;
  readonly name: string;
}

/** Why a place was passed over. */
interface Refused {
  readonly place: string;
  readonly problem: string;
}

/** Where temporary files belong first, then what is short, and there where a container has nothing else to write to. */
export function listPlaces(env: NodeJS.ProcessEnv): Place[] {
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
 * Makes a new folder for sockets, which its owner alone may enter, in the first place that will do.
 *
 * @returns The folder, and the places before it that would not do.
 * @throws {ServingError} `no_socket_folder`, which names each place and why.
 */
export function createSocketFolder(places: readonly Place[]): {
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
