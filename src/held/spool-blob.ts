import type { FileStore } from "./file-store.js";
import type { HeldFile } from "./held-file.js";
import { SpoolFile } from "./spool-file.js";

/** What is in memory of it at a time. */
const pieceBytes = 1024 ** 2;

/** Writes a blob to a file that is passed on once. @returns `undefined` where it can't be written or read. */
export async function spoolBlob(files: FileStore, blob: Blob): Promise<HeldFile | undefined> {
  let spool: SpoolFile | undefined;
  try {
    spool = new SpoolFile(files);
    for (let at = 0; at < blob.size; at += pieceBytes) {
      const piece = await blob.slice(at, at + pieceBytes).arrayBuffer();
      if (!spool.push(new Uint8Array(piece))) await spool.drained();
    }
    return await spool.finish({ use: "blob", isPassing: true });
  } catch {
    spool?.abort();
    return undefined;
  }
}
