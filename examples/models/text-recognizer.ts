import { readFile } from "node:fs/promises";
import { type DecodedText, decodeCtc } from "./ctc.ts";
import { type OnnxSession, openOnnxSession } from "./onnx-session.ts";
import { stripHeight, type TextStrip } from "./text-strip.ts";

/** The network was trained on lines at least this wide. */
const minInputWidth = 320;
const maxStripsAtOnce = 8;
const channels = 3;

/** Reads lines of text: PP-OCRv4 mobile recogniser. About 110 ms of CPU a line on one thread. */
export class TextRecognitionModel {
  readonly #session: OnnxSession;
  readonly #alphabet: readonly string[];

  private constructor(session: OnnxSession, alphabet: readonly string[]) {
    this.#session = session;
    this.#alphabet = alphabet;
  }

  /** @param files The network, `ch_PP-OCRv4_rec_infer.onnx`, and its alphabet, `ppocr_keys_v1.txt`. */
  static async load(
    files: { readonly network: string; readonly alphabet: string },
    threads: number,
  ): Promise<TextRecognitionModel> {
    const characters = (await readFile(files.alphabet, "utf8")).replace(/\n$/, "").split("\n");
    const session = await openOnnxSession(files.network, threads);
    // Class 0 is the blank of CTC, the last one a space.
    return new TextRecognitionModel(session, ["", ...characters, " "]);
  }

  /** Reads any number of strips, also of several pages; the answers are in their order. */
  async read(strips: readonly TextStrip[]): Promise<DecodedText[]> {
    const texts = new Array<DecodedText>(strips.length);
    // Strips of like width share a run: padding to the widest is work thrown away.
    const byWidth = strips.map((strip, index) => ({ strip, index })).sort((a, b) => a.strip.width - b.strip.width);
    for (let start = 0; start < byWidth.length; start += maxStripsAtOnce) {
      const group = byWidth.slice(start, start + maxStripsAtOnce);
      const decoded = await this.#readGroup(group.map(({ strip }) => strip));
      group.forEach(({ index }, position) => {
        texts[index] = decoded[position] ?? { text: "", confidence: 0 };
      });
    }
    return texts;
  }

  release(): Promise<void> {
    return this.#session.release();
  }

  async #readGroup(strips: readonly TextStrip[]): Promise<DecodedText[]> {
    const width = Math.max(minInputWidth, ...strips.map((strip) => strip.width));
    const stripLength = channels * stripHeight * width;
    const input = new Float32Array(strips.length * stripLength);
    strips.forEach((strip, row) => {
      writeStrip(strip, input.subarray(row * stripLength, (row + 1) * stripLength), width);
    });
    const { data, shape } = await this.#session.run(input, [strips.length, channels, stripHeight, width]);
    const [, steps = 0, classes = 0] = shape;
    return strips.map((_, row) => {
      const probabilities = data.subarray(row * steps * classes, (row + 1) * steps * classes);
      return decodeCtc({ probabilities, classes, alphabet: this.#alphabet });
    });
  }
}

/** Interleaved bytes to blue, green and red planes in -1 to 1; what is right of the strip stays 0. */
function writeStrip({ width, pixels }: TextStrip, planes: Float32Array, planeWidth: number): void {
  for (let plane = 0; plane < channels; plane++) {
    for (let y = 0; y < stripHeight; y++) {
      const start = (plane * stripHeight + y) * planeWidth;
      for (let x = 0; x < width; x++) {
        planes[start + x] = (pixels[(y * width + x) * channels + (channels - 1 - plane)] ?? 0) / 127.5 - 1;
      }
    }
  }
}
