// W5: a small network in ONNX, one row a call; batched and not.
import { type OnnxSession, openOnnxSession } from "@ekiben/example-models/onnx-session";
import { api, Service, type StartContext, Tensor, tensor } from "ekiben";
import { ensureMlpFile, mlpInputs, mlpOutputs } from "./mlp-model.ts";

const rows = {
  input: { inputs: tensor("float32", ["n", mlpInputs]) },
  output: tensor("float32", ["n", mlpOutputs]),
} as const;

export class Mlp extends Service() {
  #session!: OnnxSession;

  override async start({ resources }: StartContext) {
    this.#session = await openOnnxSession(ensureMlpFile(), resources.cpuThreads);
  }

  override async stop() {
    await this.#session?.release();
  }

  predict = api({ ...rows, batch: { maxRows: 64 } }, ({ inputs }) => this.#run(inputs));
  /** The same model with no batching, for comparison. */
  predict_plain = api(rows, ({ inputs }) => this.#run(inputs));

  async #run({ data, shape }: Tensor<"float32", readonly [number, number]>) {
    const scores = await this.#session.run(data, shape);
    return new Tensor("float32", [shape[0], mlpOutputs], scores.data);
  }
}
