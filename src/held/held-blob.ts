import { constants, openAsBlob } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { fail } from "../failure/failures.js";
import { systemProblem } from "../failure/read-thrown.js";
import { decodedBytes, readRange } from "./held-bytes.js";
import type { HeldFile } from "./held-file.js";

/** By the `Blob` or `File` that stands for it. */
const fileOf = new WeakMap<Blob, HeldFile>();
/** What must not go before whatever is made of it. */
const keptFor = new WeakMap<object, HeldFile>();

/** The file that a `Blob` stands for; `undefined` for one whose bytes are in memory. */
export const heldFileOf = (blob: Blob): HeldFile | undefined => fileOf.get(blob);

/** Opens a file as what a `Blob` reads; to be done once before one is made. @throws {ServingError} `held_bytes_lost`, to all who read it. */
export async function openHeldBlob(file: HeldFile): Promise<void> {
  const path = file.name?.path;
  if (path === undefined) throw file.lose(new Error("it was let go of"));
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

/** A `Blob` over an opened file, whose bytes are read when they are asked for. */
export function createHeldBlob(file: HeldFile, type: string): Blob {
  return stand(file, new Blob([file.blob as Blob], { type }));
}

/** The same as a `File`. */
export function createHeldFile(file: HeldFile, name: string, options: { type: string; lastModified?: number }): File {
  return stand(file, new File([file.blob as Blob], name, options));
}

/** The same under another name or type: a copy of a `Blob` alone would not keep its file. */
export function renameBlob(blob: Blob, name: string, type: string): File {
  const file = fileOf.get(blob);
  return file?.blob === undefined ? new File([blob], name, { type }) : createHeldFile(file, name, { type });
}

/**
 * What reads the blob keeps the file until it has read it, and a piece of the blob for as long as there is one. Whole reads
 * are done at once: the engine's own go in pieces of 64 KiB, and take five times as long.
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
