import type { InferenceSession, OnnxValue, Tensor } from "onnxruntime-node";

/** An onnxruntime session with one float32 input and one float32 output, which is all the models here need. */
export interface OnnxSession {
  run(data: Float32Array, shape: readonly number[]): Promise<FloatTensor>;
  release(): Promise<void>;
}

export interface FloatTensor {
  readonly data: Float32Array;
  readonly shape: readonly number[];
}

/**
 * Loads an ONNX file for the CPU.
 *
 * `run` blocks the event loop for the whole inference, whatever its promise suggests, so services that should work at
 * the same time need processes or threads of their own.
 */
export async function openOnnxSession(path: string, threads: number): Promise<OnnxSession> {
  const ort = await import("onnxruntime-node");
  const session: InferenceSession = await ort.InferenceSession.create(path, {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
  });
  const [input, output] = [onlyName(session.inputNames), onlyName(session.outputNames)];
  return {
    async run(data, shape) {
      const outputs = await session.run({ [input]: new ort.Tensor("float32", data, shape) });
      return readFloats(outputs[output]);
    },
    release: () => session.release(),
  };
}

function onlyName(names: readonly string[]): string {
  const [name, ...others] = names;
  if (name === undefined || others.length > 0)
    throw new Error(`Expected one tensor, the model has ${names.join(", ")}`);
  return name;
}

function readFloats(value: OnnxValue | undefined): FloatTensor {
  const tensor = value as Tensor | undefined;
  if (!(tensor?.data instanceof Float32Array)) throw new Error("The model did not answer with a float32 tensor");
  return { data: tensor.data, shape: tensor.dims };
}
