import type { Writable } from "node:stream";
import { fail } from "../failure/failures.js";
import type { ServingError } from "../failure/serving-error.js";
import type { FileStore } from "../held/file-store.js";
import {
  type Frame,
  frameBound,
  frameKinds,
  malformed,
  maxFrameBytes,
  noTails,
  wireVersion,
  writeFrame,
} from "./frame.js";
import { decodeError, encodeError } from "./wire-error.js";

/** Receiver of the frames of a channel. */
export interface ChannelReader {
  receive(frame: Frame): void;
  /** Called once, when the channel has ended, from either side. @param reason Absent where it was closed in order. */
  closed(reason: ServingError | undefined): void;
}

/** Carries frames both ways, in order. */
export interface Channel {
  /** Bytes given to `send` that the other side's buffers have not taken yet. */
  readonly bufferedBytes: number;
  /** Store for the largest values; absent: they stay in memory. */
  readonly files?: FileStore | undefined;
  /** Returns a number that grows as the other side sends, or takes what had to wait. Absent within one machine. */
  readProgress?(): number;
  /** Sets the largest frame that is read from now on. Absent within one machine. */
  limitFrames?(maxBytes: number): void;
  /** Begins to read; called once. */
  open(reader: ChannelReader): void;
  /**
   * Sends a frame soon: frames of one turn of the event loop travel together. The owner of its tails may change them as
   * soon as this returns.
   *
   * @returns False when the channel was closed or has ended; the frame was then not sent.
   * @throws {ServingError} `payload_too_large`.
   */
  send(frame: Frame): boolean;
  /** Sends the waiting frames, then ends the channel. */
  close(): void;
  /** Ends the channel at once: its other side may be gone without a word. Absent within one machine. */
  cut?(reason: ServingError): void;
}

/**
 * Frames that leave together at most. Each write costs as much as a small call, so several share one. If all frames of
 * a turn shared it, the two sides would take turns instead of working at the same time. Of 1, 2, 4, 8 and 64 four gave
 * the most calls a second at 16 and 64 in flight, over sockets and over ports: up to 2.5 times those of 64.
 */
export const framesTogether = 4;

/** Returns the first frame of each side. @param replica The replica that answers calls on this channel. */
export function createHello(replica: string): Frame {
  const head = JSON.stringify({ ekiben: wireVersion, replica, maxFrameBytes });
  return { kind: frameKinds.hello, flags: 0, id: 0, head, tails: noTails };
}

/**
 * Checks the first frame of the other side.
 *
 * @throws {ServingError} `malformed_frame` for a frame that is no hello, or names another replica; `wire_version`; the
 *   reason of the other side, when it refuses the connection.
 */
export function readHello(frame: Frame, replica: string): void {
  const hello = readHelloFields(frame);
  if (hello["replica"] !== replica) throw malformed(`it answers for ${String(hello["replica"])}, not ${replica}`);
}

/**
 * Reads the fields of a first frame.
 *
 * @throws {ServingError} `malformed_frame`, `wire_version`; `caller_refused`, which the other side may say instead.
 */
export function readHelloFields({ kind, head }: Frame): Readonly<Record<string, unknown>> {
  const refusal = kind === frameKinds.failure ? decodeError(head) : undefined;
  if (refusal?.id === "caller_refused") throw refusal;
  if (kind !== frameKinds.hello) throw malformed(`the first frame is of kind ${kind}, not a hello`);
  const hello = parse(head);
  const theirs = hello["ekiben"];
  if (typeof theirs !== "number") throw malformed("its hello names no version");
  if (theirs !== wireVersion) throw fail("wire_version", { theirs, ours: wireVersion });
  return hello;
}

function parse(head: string): Record<string, unknown> {
  try {
    const hello: unknown = JSON.parse(head);
    if (typeof hello === "object" && hello !== null) return hello as Record<string, unknown>;
  } catch {
    // Refused below.
  }
  throw malformed("its hello is no JSON object");
}

/** Says in place of a hello why a connection is refused, and ends it. */
export function writeRefusal(socket: Writable, reason: ServingError): void {
  const frame = { kind: frameKinds.failure, flags: 0, id: 0, head: encodeError(reason), tails: noTails };
  const bytes = Buffer.alloc(frameBound(frame, undefined));
  socket.end(bytes.subarray(0, writeFrame(frame, undefined, bytes, 0)));
}
