import { readFile } from "node:fs/promises";
import { dirname, join, sep } from "node:path";
import type { GraphModel } from "@tensorflow/tfjs-converter";
import type { io } from "@tensorflow/tfjs-core";
import { resolvePackageFile } from "./package-file.ts";
import { dropRethrowingListeners } from "./process-listeners.ts";

/** The parts of TensorFlow.js that are needed to run a converted graph, without the layers and the training. */
export type Tensorflow = typeof import("@tensorflow/tfjs-core");

let started: Promise<Tensorflow> | undefined;

/**
 * Starts TensorFlow.js on its WebAssembly backend.
 *
 * The engine is one global of the process, so all models in a process share it, and the number of threads of the first
 * model applies to all. Inference blocks the event loop.
 */
export function startTensorflow(threads: number): Promise<Tensorflow> {
  // Services of one process start side by side, and two backends must not be registered under one name.
  started ??= startWasmBackend(threads);
  return started;
}

async function startWasmBackend(threads: number): Promise<Tensorflow> {
  const [tf, wasm] = await Promise.all([import("@tensorflow/tfjs-core"), import("@tensorflow/tfjs-backend-wasm")]);
  wasm.setWasmPaths(resolvePackageFile("@tensorflow/tfjs-backend-wasm", "dist") + sep);
  wasm.setThreadsCount(threads);
  await tf.setBackend("wasm");
  await tf.ready();
  dropRethrowingListeners();
  return tf;
}

/** Loads a graph model from `model.json` and the weight files beside it; no server, no fetch. */
export async function loadGraphModel(modelFile: string): Promise<GraphModel> {
  const { loadGraphModel: load } = await import("@tensorflow/tfjs-converter");
  const model = JSON.parse(await readFile(modelFile, "utf8")) as io.ModelJSON;
  const files = model.weightsManifest.flatMap((group) => group.paths);
  const shards = await Promise.all(files.map((file) => readFile(join(dirname(modelFile), file))));
  return load({
    load: async () => ({
      modelTopology: model.modelTopology,
      ...(model.format === undefined ? {} : { format: model.format }),
      ...(model.signature === undefined ? {} : { signature: model.signature }),
      weightSpecs: model.weightsManifest.flatMap((group) => group.weights),
      weightData: joinShards(shards),
    }),
  });
}

function joinShards(shards: readonly Uint8Array[]): ArrayBuffer {
  const joined = new Uint8Array(shards.reduce((sum, shard) => sum + shard.byteLength, 0));
  let offset = 0;
  for (const shard of shards) {
    joined.set(shard, offset);
    offset += shard.byteLength;
  }
  return joined.buffer;
}
