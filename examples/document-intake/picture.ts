import { decodeImage, type Image } from "@ekiben/example-models/image";
import { ServingError, Tensor, tensor } from "ekiben";

/** A decoded picture on its way between services: red, green and blue bytes. */
export const Picture = tensor("uint8", ["height", "width", 3]);

type Pixels = Tensor<"uint8", readonly [number, number, 3]>;

/** Decodes an uploaded PNG or JPEG once, so that no service behind the entry has to. */
export async function decodePicture(upload: File): Promise<Pixels> {
  const bytes = new Uint8Array(await upload.arrayBuffer());
  const image = await decodeImage(bytes).catch((cause: unknown) => {
    throw new ServingError({
      code: "invalid_argument",
      id: "unreadable_picture",
      message: `${upload.name} is not a picture that can be read (${upload.size} bytes of ${upload.type}).`,
      cause,
    });
  });
  return new Tensor("uint8", [image.height, image.width, 3], image.pixels);
}

/** The same pixels as the models take them. */
export function toImage({ shape: [height, width], data }: Pixels): Image {
  return { width, height, pixels: data };
}
