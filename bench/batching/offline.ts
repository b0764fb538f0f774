// Measures the maximum speed of the W5 network on this machine, without serving.
import { openOnnxSession } from "@ekiben/example-models/onnx-session";
import { createMlpRow, ensureMlpFile, mlpInputs } from "../workloads/mlp-model.ts";

/** Network with its rows in memory. */
export interface OfflineModel {
  /** Rows a second in batches of one size. */
  measure(rows: number, seconds: number): Promise<number>;
  /** Scores of one row. */
  score(row: Float32Array): Promise<Float32Array>;
  close(): Promise<void>;
}

export const batchSizes = [1, 8, 16, 32, 64, 128, 256] as const;

export async function openOffline(): Promise<OfflineModel> {
  const session = await openOnnxSession(ensureMlpFile(), 1);
  return {
    async measure(rows, seconds) {
      const data = new Float32Array(rows * mlpInputs);
      for (let row = 0; row < rows; row++) data.set(createMlpRow(row), row * mlpInputs);
      const begun = performance.now();
      let done = 0;
      while (performance.now() - begun < seconds * 1000) {
        await session.run(data, [rows, mlpInputs]);
        done += rows;
      }
      return (done * 1000) / (performance.now() - begun);
    },
    score: async (row) => (await session.run(row, [1, mlpInputs])).data,
    close: () => session.release(),
  };
}
