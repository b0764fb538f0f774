import { decodeImage, type Image } from "@ekiben/example-models/image";
import { api, file, Service, ServingError, Tensor, tensor } from "ekiben";

/** An uploaded PNG or JPEG. */
export const Upload = file({ contentType: ["image/png", "image/jpeg"], maxBytes: 8 * 1024 * 1024 });

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

/** Decodes uploads. It alone has the image library, so what stands at the front stays small. */
export class PictureDecoder extends Service() {
  decode = api({ summary: "Decodes a PNG or JPEG.", input: { page: Upload }, output: Picture }, ({ page }) =>
    decodePicture(page),
  );
}
