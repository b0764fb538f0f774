import type { Tensor } from "@tensorflow/tfjs-core";
import { cocoLabels } from "./coco-labels.ts";
import { dropOverlaps, type FoundObject } from "./found-object.ts";
import { type Image, resizeImage, type Size } from "./image.ts";
import { resolvePackageFile } from "./package-file.ts";
import { loadGraphModel, startTensorflow, type Tensorflow } from "./tfjs.ts";

const inputSide = 512;
const outputName = "tower_0/detections";
/** left, top, right, bottom in input pixels, score, class. */
const valuesPerRow = 6;
const minScore = 0.3;
const maxOverlap = 0.4;

type Graph = Awaited<ReturnType<typeof loadGraphModel>>;

/** Finds things of the eighty COCO classes: CenterNet on MobileNetV2. About 340 ms of CPU an image; cannot batch. */
export class ObjectDetectionModel {
  readonly #tf: Tensorflow;
  readonly #graph: Graph;

  private constructor(tf: Tensorflow, graph: Graph) {
    this.#tf = tf;
    this.#graph = graph;
  }

  static async load(threads: number): Promise<ObjectDetectionModel> {
    const tf = await startTensorflow(threads);
    return new ObjectDetectionModel(
      tf,
      await loadGraphModel(resolvePackageFile("@vladmandic/human", "models", "centernet.json")),
    );
  }

  /** Best first. */
  async detect(image: Image): Promise<FoundObject[]> {
    const { pixels } = await resizeImage(image, { width: inputSide, height: inputSide });
    // This network wants plain bytes as floats: scaled to 0..1 it finds nothing.
    const input = this.#tf.tensor4d(Float32Array.from(pixels), [1, inputSide, inputSide, 3]);
    const output = this.#graph.execute(input, outputName) as Tensor;
    const rows = (await output.data()) as Float32Array;
    this.#tf.dispose([input, output]);
    return dropOverlaps(readRows(rows, image), maxOverlap);
  }

  dispose(): void {
    this.#graph.dispose();
  }
}

function readRows(rows: Float32Array, image: Size): FoundObject[] {
  const objects: FoundObject[] = [];
  const scaleX = image.width / inputSide;
  const scaleY = image.height / inputSide;
  for (let start = 0; start + valuesPerRow <= rows.length; start += valuesPerRow) {
    const [left = 0, top = 0, right = 0, bottom = 0, score = 0, label = 0] = rows.subarray(start, start + valuesPerRow);
    if (score < minScore) continue;
    objects.push({
      label: cocoLabels[label] ?? "unknown",
      score,
      left: left * scaleX,
      top: top * scaleY,
      width: Math.max(0, right - left) * scaleX,
      height: Math.max(0, bottom - top) * scaleY,
    });
  }
  return objects;
}
