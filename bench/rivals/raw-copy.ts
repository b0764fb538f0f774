// The limit for large values: the same bytes over a Unix socket to another process, which answers with one byte.
// raw-copy.ts <socket>
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Sends bytes to another process. */
export interface RawCopy {
  /** Measures each of `times` sends, in milliseconds. A copy is sent, because a caller may change its value. */
  time(bytes: number, times: number): Promise<number[]>;
  close(): void;
}

export async function createRawCopy(): Promise<RawCopy> {
  const folder = mkdtempSync(join(tmpdir(), "ekiben-bench-"));
  const path = join(folder, "raw.sock");
  const child = fork(fileURLToPath(import.meta.url), [path]);
  await once(child, "message");
  const socket = connect(path);
  await once(socket, "connect");
  return {
    time: (bytes, times) => timeCopies(socket, bytes, times),
    close: () => {
      socket.destroy();
      child.kill();
      rmSync(folder, { recursive: true });
    },
  };
}

async function timeCopies(socket: Socket, bytes: number, times: number): Promise<number[]> {
  const given = Buffer.alloc(bytes, 7);
  const size = Buffer.alloc(8);
  size.writeDoubleLE(bytes);
  const ms: number[] = [];
  for (let i = 0; i < times; i++) {
    const begun = performance.now();
    socket.write(size);
    socket.write(Buffer.from(given));
    await once(socket, "data");
    ms.push(performance.now() - begun);
  }
  return ms;
}

function answer(socket: Socket): void {
  let wanted = 0;
  let have = 0;
  socket.on("data", (chunk) => {
    let { length } = chunk;
    if (wanted === 0) {
      wanted = chunk.readDoubleLE(0);
      length -= 8;
    }
    have += length;
    if (have < wanted) return;
    wanted = 0;
    have = 0;
    socket.write("k");
  });
  socket.on("error", () => {});
}

const [, main, path] = process.argv;
if (main === fileURLToPath(import.meta.url) && path !== undefined) {
  createServer(answer).listen(path, () => process.send?.("ready"));
  process.on("disconnect", () => process.exit());
}
