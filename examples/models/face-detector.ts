import { dirname } from "node:path";
import { fitWithin, type Image, type Rectangle, resizeImage } from "./image.ts";
import { resolvePackageFile } from "./package-file.ts";
import { startTensorflow } from "./tfjs.ts";

const maxSide = 512;
const minConfidence = 0.5;

type FaceApi = typeof import("@vladmandic/face-api/dist/face-api.node-wasm.js");

/** A face in a picture, in the picture's own pixels. */
export interface FoundFace extends Rectangle {
  /** 0 to 1. */
  readonly score: number;
}

/** Finds faces, to count them: SSD on MobileNetV1. About 530 ms of CPU an image. */
export class FaceDetectionModel {
  readonly #faceApi: FaceApi;

  private constructor(faceApi: FaceApi) {
    this.#faceApi = faceApi;
  }

  static async load(threads: number): Promise<FaceDetectionModel> {
    await startTensorflow(threads);
    // The package's default entry wants the native TensorFlow binding; this build shares the engine started above.
    const faceApi = await import("@vladmandic/face-api/dist/face-api.node-wasm.js");
    const weights = resolvePackageFile("@vladmandic/face-api", "model", "ssd_mobilenetv1_model.bin");
    await faceApi.nets.ssdMobilenetv1.loadFromDisk(dirname(weights));
    return new FaceDetectionModel(faceApi);
  }

  async detect(image: Image): Promise<FoundFace[]> {
    const size = fitWithin(image, maxSide);
    const { pixels } = await resizeImage(image, size);
    const faceApi = this.#faceApi;
    const input = faceApi.tf.tensor3d(Int32Array.from(pixels), [size.height, size.width, 3], "int32");
    const options = new faceApi.SsdMobilenetv1Options({ minConfidence });
    const faces = await faceApi.detectAllFaces(input, options);
    input.dispose();
    const scale = image.width / size.width;
    return faces.map(({ box, score }) => ({
      score,
      left: box.x * scale,
      top: box.y * scale,
      width: box.width * scale,
      height: box.height * scale,
    }));
  }

  dispose(): void {
    this.#faceApi.nets.ssdMobilenetv1.dispose();
  }
}
