import type { Rectangle } from "./image.ts";

/** A thing recognised in a picture, in the picture's own pixels. */
export interface FoundObject extends Rectangle {
  readonly label: string;
  /** 0 to 1. */
  readonly score: number;
}

/** Drops each object that overlaps a better one of its label by more than `maxOverlap` (intersection over union). */
export function dropOverlaps(objects: readonly FoundObject[], maxOverlap: number): FoundObject[] {
  const kept: FoundObject[] = [];
  for (const object of [...objects].sort((a, b) => b.score - a.score)) {
    const isRepeat = kept.some((better) => better.label === object.label && overlap(better, object) > maxOverlap);
    if (!isRepeat) kept.push(object);
  }
  return kept;
}

function overlap(a: Rectangle, b: Rectangle): number {
  const width = Math.min(a.left + a.width, b.left + b.width) - Math.max(a.left, b.left);
  const height = Math.min(a.top + a.height, b.top + b.height) - Math.max(a.top, b.top);
  const shared = Math.max(0, width) * Math.max(0, height);
  const joined = a.width * a.height + b.width * b.height - shared;
  return joined === 0 ? 0 : shared / joined;
}
