import { fail } from "../failure/fail.js";
import { type Frame, frameKinds, malformed, maxFrameBytes, noTails, wireVersion } from "./frame.js";

/** The first frame each side sends. @param replica The one that answers calls on this channel. */
export function createHello(replica: string): Frame {
  const head = JSON.stringify({ ekiben: wireVersion, replica, maxFrameBytes });
  return { kind: frameKinds.hello, flags: 0, id: 0, head, tails: noTails };
}

/**
 * Checks the first frame of the other side.
 *
 * @throws {ServingError} `malformed_frame` when it is no hello or of another replica; `wire_version`.
 */
export function readHello({ kind, head }: Frame, replica: string): void {
  if (kind !== frameKinds.hello) throw malformed(`the first frame is of kind ${kind}, not a hello`);
  const hello = parse(head);
  const theirs = hello["ekiben"];
  if (typeof theirs !== "number") throw malformed("its hello names no version");
  if (theirs !== wireVersion) throw fail("wire_version", { theirs, ours: wireVersion });
  if (hello["replica"] !== replica) throw malformed(`it answers for ${String(hello["replica"])}, not ${replica}`);
}

function parse(head: string): Record<string, unknown> {
  try {
    const hello: unknown = JSON.parse(head);
    if (typeof hello === "object" && hello !== null) return hello as Record<string, unknown>;
  } catch {
    // Said below.
  }
  throw malformed("its hello is no JSON object");
}
