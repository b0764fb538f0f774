import { cropImage, type Image, type Rectangle } from "./image.ts";

/** Height of every line the recogniser reads, in pixels. */
export const stripHeight = 48;
const minWidth = 16;

/** One line of text cut out of a page: red, green and blue bytes, `48 * width * 3` of them. */
export interface TextStrip {
  readonly width: number;
  readonly pixels: Uint8Array;
}

/** Cuts a region out of a page and scales it to the height the recogniser reads. */
export async function cutTextStrip(page: Image, region: Rectangle): Promise<TextStrip> {
  const width = Math.max(minWidth, Math.ceil((stripHeight * region.width) / region.height));
  const { pixels } = await cropImage(page, region, { width, height: stripHeight });
  return { width, pixels };
}
