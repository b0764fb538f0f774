import type { Rectangle, Size } from "./image.ts";

/** A line of text found on a page, in the page's own pixels. */
export interface TextRegion extends Rectangle {
  /** Mean text probability of its pixels, 0 to 1. */
  readonly score: number;
}

/** One probability that a pixel belongs to text, row by row: `height * width` of them. */
export interface TextMap extends Size {
  readonly probabilities: Float32Array;
}

/** Values of PP-OCR's own configuration for differentiable binarisation (DB). */
const textThreshold = 0.3;
const minRegionScore = 0.6;
const minRegionSide = 3;
const growth = 1.6;

interface Blob {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
  readonly meanProbability: number;
}

/** Turns a detector's text map into regions of the page, in reading order. Regions are upright rectangles. */
export function findTextRegions(map: TextMap, page: Size): TextRegion[] {
  const regions: TextRegion[] = [];
  for (const blob of findBlobs(map)) {
    const width = blob.right - blob.left + 1;
    const height = blob.bottom - blob.top + 1;
    if (Math.min(width, height) < minRegionSide || blob.meanProbability < minRegionScore) continue;
    regions.push(growRegion(blob, map, page));
  }
  return sortByReadingOrder(regions);
}

/** Undoes the shrinking (area * ratio / perimeter): the detector is trained to mark a shrunken core of each line. */
function growRegion(blob: Blob, map: Size, page: Size): TextRegion {
  const width = blob.right - blob.left + 1;
  const height = blob.bottom - blob.top + 1;
  const margin = (width * height * growth) / (2 * (width + height));
  const scaleX = page.width / map.width;
  const scaleY = page.height / map.height;
  const left = Math.max(0, Math.floor((blob.left - margin) * scaleX));
  const top = Math.max(0, Math.floor((blob.top - margin) * scaleY));
  const right = Math.min(page.width, Math.ceil((blob.right + 1 + margin) * scaleX));
  const bottom = Math.min(page.height, Math.ceil((blob.bottom + 1 + margin) * scaleY));
  return { left, top, width: right - left, height: bottom - top, score: blob.meanProbability };
}

/** Connected components (4 neighbours) of the pixels above the threshold. */
function* findBlobs(map: TextMap): Generator<Blob> {
  const { width, height, probabilities } = map;
  const seen = new Uint8Array(width * height);
  const isUnseenText = (pixel: number) => seen[pixel] === 0 && (probabilities[pixel] ?? 0) > textThreshold;
  for (let start = 0; start < seen.length; start++) {
    if (!isUnseenText(start)) continue;
    seen[start] = 1;
    const pending = [start];
    let [left, top, right, bottom, sum, count] = [width, height, 0, 0, 0, 0];
    const visit = (pixel: number) => {
      if (!isUnseenText(pixel)) return;
      seen[pixel] = 1;
      pending.push(pixel);
    };
    for (let pixel = pending.pop(); pixel !== undefined; pixel = pending.pop()) {
      const x = pixel % width;
      const y = Math.floor(pixel / width);
      left = Math.min(left, x);
      right = Math.max(right, x);
      top = Math.min(top, y);
      bottom = Math.max(bottom, y);
      sum += probabilities[pixel] ?? 0;
      count += 1;
      if (x > 0) visit(pixel - 1);
      if (x < width - 1) visit(pixel + 1);
      if (y > 0) visit(pixel - width);
      if (y < height - 1) visit(pixel + width);
    }
    yield { left, top, right, bottom, meanProbability: sum / count };
  }
}

function sortByReadingOrder(regions: TextRegion[]): TextRegion[] {
  return regions.sort((a, b) => {
    const distance = a.top + a.height / 2 - (b.top + b.height / 2);
    const isSameLine = Math.abs(distance) < Math.min(a.height, b.height) / 2;
    return isSameLine ? a.left - b.left : a.top - b.top;
  });
}
