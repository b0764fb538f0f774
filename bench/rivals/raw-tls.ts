// The minimum over TLS with a pre-shared key: numbered frames to another process, which answers each with a few bytes.
// As a program it is the other side.   raw-tls.ts <key>
import { fork } from "node:child_process";
import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import tls from "node:tls";
import { fileURLToPath } from "node:url";
import { receiveFrames, sendFrame } from "./raw-frames.ts";

/** The version and the cipher that ekiben uses. */
const secured = { minVersion: "TLSv1.3", ciphers: "TLS_AES_128_GCM_SHA256" } as const;
const done = Buffer.from("done");

export interface RawTls {
  /** Sends some bytes; resolves when the other side has them. */
  call(bytes: Uint8Array): Promise<void>;
  close(): void;
}

/** @param key 64 hexadecimal digits. */
export async function connectRawTls(key: string): Promise<RawTls> {
  const child = fork(fileURLToPath(import.meta.url), [key]);
  const [port] = (await once(child, "message")) as [number];
  const socket = tls.connect({
    ...{ ...secured, host: "127.0.0.1", port },
    pskCallback: () => ({ psk: Buffer.from(key, "hex"), identity: "bench" }),
    checkServerIdentity: () => undefined,
  });
  await once(socket, "secureConnect");
  socket.setNoDelay(true);
  const waiting = new Map<number, () => void>();
  let last = 0;
  receiveFrames(socket, (id) => {
    waiting.get(id)?.();
    waiting.delete(id);
  });
  return {
    call: (bytes) =>
      new Promise((resolve) => {
        const id = ++last >>> 0;
        waiting.set(id, resolve);
        sendFrame(socket, id, [bytes]);
      }),
    close: () => {
      socket.destroy();
      child.kill();
    },
  };
}

function answer(socket: Socket): void {
  socket.setNoDelay(true);
  socket.on("error", () => {});
  receiveFrames(socket, (id) => sendFrame(socket, id, [done]));
}

if (process.send !== undefined && process.argv[1] === fileURLToPath(import.meta.url)) {
  const key = Buffer.from(process.argv[2] ?? "", "hex");
  const server = tls.createServer({ ...secured, pskCallback: () => key }, answer);
  server.listen(0, "127.0.0.1", () => process.send?.((server.address() as AddressInfo).port));
  process.on("disconnect", () => process.exit());
}
