// The minimum that carries calls over a socket: no calls, deadlines or failures, only numbered frames. Placement
// "process" is compared with this limit.
import type { Socket } from "node:net";
import { Packr } from "msgpackr";

/** Value that the raw limits echo. */
export interface RawMessage {
  readonly text: string;
  readonly pixels?: Float32Array;
}

const packr = new Packr({ useRecords: false });
const headerBytes = 8;
/** Size below which copying is cheaper than a second write. */
const copiedBytes = 4096;
/** Size below which a body that arrived whole is copied out of its chunk. */
const wholeBytes = 65_536;

/**
 * u32 bytes of the head | u32 bytes of the tail | head in MessagePack | padding to a multiple of 8 | numbers as in
 * memory.
 */
export function encodeMessage({ text, pixels }: RawMessage): Uint8Array[] {
  const head = packr.pack({ text });
  const padding = (8 - ((headerBytes + head.length) & 7)) & 7;
  const prefix = Buffer.allocUnsafe(headerBytes + head.length + padding);
  prefix.writeUInt32LE(head.length, 0);
  prefix.writeUInt32LE(pixels?.byteLength ?? 0, 4);
  head.copy(prefix, headerBytes);
  return pixels === undefined
    ? [prefix]
    : [prefix, new Uint8Array(pixels.buffer, pixels.byteOffset, pixels.byteLength)];
}

export function decodeMessage(body: Buffer): RawMessage {
  const headLength = body.readUInt32LE(0);
  const tailLength = body.readUInt32LE(4);
  const { text } = packr.unpack(body.subarray(headerBytes, headerBytes + headLength)) as RawMessage;
  if (tailLength === 0) return { text };
  const start = (headerBytes + headLength + 7) & ~7;
  const isAligned = (body.byteOffset + start) % 4 === 0;
  const tail = isAligned
    ? body.subarray(start, start + tailLength)
    : Buffer.from(body.subarray(start, start + tailLength));
  return { text, pixels: new Float32Array(tail.buffer, tail.byteOffset, tailLength / 4) };
}

/** Sends u32 length | u32 id | parts. */
export function sendFrame(socket: Socket, id: number, parts: readonly Uint8Array[]): void {
  const length = parts.reduce((sum, part) => sum + part.byteLength, 0);
  const header = Buffer.allocUnsafe(headerBytes);
  header.writeUInt32LE(length, 0);
  header.writeUInt32LE(id, 4);
  if (length < copiedBytes) {
    socket.write(Buffer.concat([header, ...parts]));
    return;
  }
  socket.cork();
  socket.write(header);
  for (const part of parts) socket.write(part);
  socket.uncork();
}

/** Splits the bytes that a socket receives into frames. */
export function receiveFrames(socket: Socket, onFrame: (id: number, body: Buffer) => void): void {
  const header = Buffer.alloc(headerBytes);
  let headerLength = 0;
  let id = 0;
  let body: Buffer | undefined;
  let received = 0;
  socket.on("data", (chunk: Buffer) => {
    let at = 0;
    while (at < chunk.length) {
      if (body === undefined) {
        const wanted = Math.min(headerBytes - headerLength, chunk.length - at);
        chunk.copy(header, headerLength, at, at + wanted);
        headerLength += wanted;
        at += wanted;
        if (headerLength < headerBytes) return;
        headerLength = 0;
        const length = header.readUInt32LE(0);
        id = header.readUInt32LE(4);
        if (length < wholeBytes && chunk.length - at >= length) {
          onFrame(id, Buffer.from(chunk.subarray(at, at + length)));
          at += length;
          continue;
        }
        body = Buffer.from(new ArrayBuffer(length));
        received = 0;
      }
      const wanted = Math.min(body.length - received, chunk.length - at);
      chunk.copy(body, received, at, at + wanted);
      received += wanted;
      at += wanted;
      if (received < body.length) return;
      const whole = body;
      body = undefined;
      onFrame(id, whole);
    }
  });
}
