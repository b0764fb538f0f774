/** A decoded picture: rows of interleaved red, green and blue bytes, `height * width * 3` of them. */
export interface Image {
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint8Array;
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

export interface Rectangle extends Size {
  readonly left: number;
  readonly top: number;
}

/** Decodes any format sharp reads (PNG, JPEG, WebP …); transparent pixels become white. */
export async function decodeImage(bytes: Uint8Array): Promise<Image> {
  const { default: sharp } = await import("sharp");
  const { data, info } = await sharp(bytes)
    .flatten({ background: "#fff" })
    .toColourspace("srgb")
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, pixels: data };
}

/** Stretches an image to exactly this size. */
export async function resizeImage(image: Image, size: Size): Promise<Image> {
  const picture = await openImage(image);
  const pixels = await picture.resize(size.width, size.height, { fit: "fill" }).raw().toBuffer();
  return { ...size, pixels };
}

/** Cuts a rectangle out of an image and stretches it to exactly this size. */
export async function cropImage(image: Image, rectangle: Rectangle, size: Size): Promise<Image> {
  const { left, top, width, height } = rectangle;
  const picture = await openImage(image);
  const pixels = await picture
    .extract({ left, top, width, height })
    .resize(size.width, size.height, { fit: "fill" })
    .raw()
    .toBuffer();
  return { ...size, pixels };
}

/** The largest size of the same proportions whose longer side is at most `maxSide`; never larger than `size`. */
export function fitWithin(size: Size, maxSide: number): Size {
  const scale = Math.min(1, maxSide / Math.max(size.width, size.height));
  return { width: Math.round(size.width * scale), height: Math.round(size.height * scale) };
}

async function openImage(image: Image) {
  const { default: sharp } = await import("sharp");
  return sharp(image.pixels, { raw: { width: image.width, height: image.height, channels: 3 } });
}
