import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { decodeMessage, encodeMessage, type RawMessage, receiveFrames, sendFrame } from "./raw-frames.ts";

/** Way to carry a message to another side and back. */
export interface RawLimit {
  /** Sends one message. @param loop Number of the concurrent loop that makes the call. */
  call(message: RawMessage, loop: number): Promise<RawMessage>;
  close(): Promise<void>;
}

/** Source of the thread, as text, because a thread of Node 20 cannot be started from TypeScript. */
const echoProgram = `
  const { parentPort } = require("node:worker_threads");
  parentPort.on("message", (message) => parentPort.postMessage(message));
`;

type Waiting = Map<number, (answer: RawMessage) => void>;

/** Framed Unix socket to another process. */
export async function createSocketLimit(): Promise<RawLimit> {
  const folder = mkdtempSync(join(tmpdir(), "ekiben-bench-"));
  const path = join(folder, "raw.sock");
  const child = fork(fileURLToPath(import.meta.resolve("./raw-process.ts")), [path]);
  await once(child, "message");
  const socket = connect(path);
  await once(socket, "connect");
  const waiting: Waiting = new Map();
  let last = 0;
  receiveFrames(socket, (id, body) => {
    const answer = waiting.get(id);
    waiting.delete(id);
    answer?.(decodeMessage(body));
  });
  return {
    call: (message) =>
      new Promise((answer) => {
        const id = ++last >>> 0;
        waiting.set(id, answer);
        sendFrame(socket, id, encodeMessage(message));
      }),
    close: async () => {
      socket.destroy();
      child.kill();
      rmSync(folder, { recursive: true });
    },
  };
}

/** MessagePort to a thread; each message is cloned. */
export function createPortLimit(): Promise<RawLimit> {
  return createThreadLimit((message) => message);
}

/** Same as above, but numbers are in memory that both sides share: one slab per loop, filled by the caller. */
export function createSharedLimit(): Promise<RawLimit> {
  const slabs = new Map<number, Float32Array>();
  return createThreadLimit(({ text, pixels }, loop) => {
    if (pixels === undefined) return { text };
    const slab = slabs.get(loop) ?? new Float32Array(new SharedArrayBuffer(pixels.byteLength));
    slabs.set(loop, slab);
    slab.set(pixels);
    return { text, pixels: slab };
  });
}

async function createThreadLimit(pack: (message: RawMessage, loop: number) => RawMessage): Promise<RawLimit> {
  const worker = new Worker(echoProgram, { eval: true });
  await once(worker, "online");
  const waiting: Waiting = new Map();
  let last = 0;
  worker.on("message", ({ id, message }: { id: number; message: RawMessage }) => {
    const answer = waiting.get(id);
    waiting.delete(id);
    answer?.(message);
  });
  return {
    call: (message, loop) =>
      new Promise((answer) => {
        const id = ++last;
        waiting.set(id, answer);
        worker.postMessage({ id, message: pack(message, loop) });
      }),
    close: async () => {
      await worker.terminate();
    },
  };
}
