import { type Frame, frameFlags, frameKinds } from "../../src/transport/frame.js";

/** Frames with a frame for each item: small ones may have come several in one. */
export const splitItems = (frames: readonly Frame[]): Frame[] => frames.flatMap(splitFrame);

function splitFrame(frame: Frame): Frame[] {
  const { kind, flags, head } = frame;
  if (kind !== frameKinds.item || (flags & frameFlags.several) === 0) return [frame];
  return head.split("\n").map((text) => ({ ...frame, head: text, flags: flags & ~frameFlags.several }));
}
