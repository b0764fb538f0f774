import { type Frame, frameFlags, frameKinds } from "../../src/transport/frame.js";

/** Splits frames into one frame per item: small items may share a frame. */
export const splitItems = (frames: readonly Frame[]): Frame[] => frames.flatMap(splitFrame);

function splitFrame(frame: Frame): Frame[] {
  const { kind, flags, head } = frame;
  if (kind !== frameKinds.item || (flags & frameFlags.several) === 0) return [frame];
  return head.split("\n").map((text) => ({ ...frame, head: text, flags: flags & ~frameFlags.several }));
}
