import { constants, openAsBlob } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { fail } from "../failure/failures.js";
import { systemProblem } from "../failure/read-thrown.js";
import { decodedBytes, readRange } from "./held-bytes.js";
import type { HeldFile } from "./held-file.js";

/** Files by the `Blob` or `File` that stands for them. */
const fileOf = new WeakMap<Blob, HeldFile>();
/** Files by the objects that were made from them: a file must live at least as long as those. */
const keptFor = new WeakMap<object, HeldFile>();

/** Returns the file that a `Blob` stands for; `undefined` for one whose bytes are in memory. */
export const heldFileOf = (blob: Blob): HeldFile | undefined => fileOf.get(blob);

/**
 * Opens a file for `createHeldBlob`. Call it once, before that.
 *
 * @throws {ServingError} `held_bytes_lost`, as every reader then.
 */
export async function openHeldBlob(file: HeldFile): Promise<void> {
  const path = file.name?.path;
  if (path === undefined) throw file.lose(new Error("it was released"));
  let blob: Blob;
  try {
    blob = await openAsBlob(path);
  } catch (error) {
    throw file.lose(error);
  }
  file.use = "blob";
  const end = file.start + file.byteLength;
  file.blob = file.start === 0 && blob.size === file.byteLength ? blob : blob.slice(file.start, end);
}

/** Makes a `Blob` over an opened file. Its bytes are read when they are asked for. */
export function createHeldBlob(file: HeldFile, type: string): Blob {
  return stand(file, new Blob([file.blob as Blob], { type }));
}

/** Makes a `File` in the same way. */
export function createHeldFile(file: HeldFile, name: string, options: { type: string; lastModified?: number }): File {
  return stand(file, new File([file.blob as Blob], name, options));
}

/** Makes a `File` with another name or type. A plain copy of the `Blob` would not keep its file alive. */
export function renameBlob(blob: Blob, name: string, type: string): File {
  const file = fileOf.get(blob);
  return file?.blob === undefined ? new File([blob], name, { type }) : createHeldFile(file, name, { type });
}

/**
 * Ties a blob to its file. A reader keeps the file alive until it has finished, a slice for as long as the slice lives.
 * Whole reads are done in one piece: the engine's own read 64 KiB at a time, and take five times as long.
 */
function stand<T extends Blob>(file: HeldFile, blob: T): T {
  fileOf.set(blob, file);
  const { slice, stream } = blob;
  const read = () => readWhole(file);
  const methods = {
    arrayBuffer: async () => (await read()).buffer,
    bytes: read,
    text: async () => new TextDecoder("utf-8", { ignoreBOM: false }).decode(await read()),
    slice: (...range: Parameters<Blob["slice"]>) => keep(slice.apply(blob, range), file),
    stream: () => {
      decodedBytes.count += file.byteLength;
      return keep(stream.call(blob), file);
    },
  };
  for (const [name, value] of Object.entries(methods)) {
    if (name in blob) Object.defineProperty(blob, name, { value, configurable: true, writable: true });
  }
  return blob;
}

function keep<T extends object>(made: T, file: HeldFile): T {
  keptFor.set(made, file);
  return made;
}

async function readWhole(file: HeldFile): Promise<Uint8Array<ArrayBuffer>> {
  const { byteLength, start } = file;
  const path = file.name?.path ?? "";
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const bytes = new Uint8Array(Buffer.allocUnsafeSlow(byteLength).buffer as ArrayBuffer);
    await readRange(handle, bytes, start);
    decodedBytes.count += byteLength;
    return bytes;
  } catch (error) {
    throw fail("held_bytes_lost", { path, byteLength, problem: systemProblem(error) }, { cause: error });
  } finally {
    await handle?.close();
  }
}
