// The network of W5, written as an ONNX file: 256 -> 1024 -> 1024 -> 10, ReLU between, softmax at the end.
// Input "x" [N, 256], output "y" [N, 10], float32; 5.3 MB. No package is needed: it takes only a little protobuf.
import { existsSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createMatrix, scale } from "./maths.ts";

/** Numbers in one input row. */
export const mlpInputs = 256;
/** Numbers in one output row. */
export const mlpOutputs = 10;
const sizes = [mlpInputs, 1024, 1024, mlpOutputs] as const;

/** Returns the path of the file, which is written if it does not exist. */
export function ensureMlpFile(): string {
  const folder = join(import.meta.dirname, "../.cache");
  const path = join(folder, "mlp.onnx");
  if (existsSync(path)) return path;
  mkdirSync(folder, { recursive: true });
  // Several processes may write it at once: each writes a file of its own, and the last rename wins.
  const own = `${path}.${process.pid}`;
  writeFileSync(own, createMlp());
  renameSync(own, path);
  return path;
}

/** Makes rows like those in the load scripts of W5. Shape `[256]`, values from -0.5 to 0.5. */
export const createMlpRow = (seed: number): Float32Array =>
  Float32Array.from({ length: mlpInputs }, (_, j) => (((j + 1) * 31 + seed * 17) % 997) / 997 - 0.5);

const oneNumber = 0;
const bytesField = 2;

// Field numbers are those of onnx.proto3, IR version 8, operator set 17.
function createMlp(): Buffer {
  const graph = [
    ...sizes.slice(1).flatMap((_, layer) => createLayer(layer)),
    field(1, createNode("Softmax", ["g2"], ["y"])),
    field(2, "mlp"),
    field(11, createTensorType("x", mlpInputs)),
    field(12, createTensorType("y", mlpOutputs)),
  ];
  const operators = Buffer.concat([field(1, ""), field(2, 17)]);
  return Buffer.concat([field(1, 8), field(7, Buffer.concat(graph)), field(8, operators)]);
}

function createLayer(layer: number): Buffer[] {
  const [rows, columns] = [sizes[layer] as number, sizes[layer + 1] as number];
  const weights = scale(createMatrix(rows, columns, layer + 1), Math.sqrt(3 / rows));
  const input = layer === 0 ? "x" : `r${layer - 1}`;
  const parts = [
    field(5, createTensor(`w${layer}`, [rows, columns], weights)),
    field(5, createTensor(`b${layer}`, [columns], new Float32Array(columns))),
    field(1, createNode("Gemm", [input, `w${layer}`, `b${layer}`], [`g${layer}`])),
  ];
  return layer === 2 ? parts : [...parts, field(1, createNode("Relu", [`g${layer}`], [`r${layer}`]))];
}

const createNode = (operator: string, inputs: readonly string[], outputs: readonly string[]): Buffer =>
  Buffer.concat([
    ...inputs.map((name) => field(1, name)),
    ...outputs.map((name) => field(2, name)),
    field(4, operator),
  ]);

const float32 = 1;

const createTensor = (name: string, dims: readonly number[], data: Float32Array): Buffer =>
  Buffer.concat([
    ...dims.map((dim) => field(1, dim)),
    field(2, float32),
    field(8, name),
    field(9, Buffer.from(data.buffer)),
  ]);

function createTensorType(name: string, width: number): Buffer {
  const dims = [field(2, "N"), field(1, width)].map((dim) => field(1, dim));
  const type = Buffer.concat([field(1, float32), field(2, Buffer.concat(dims))]);
  return Buffer.concat([field(1, name), field(2, field(1, type))]);
}

/** Encodes one field of a protobuf message: a whole number, a text or a message. */
function field(number: number, value: number | string | Buffer): Buffer {
  if (typeof value === "number") return Buffer.concat([varint((number << 3) | oneNumber), varint(value)]);
  const bytes = Buffer.from(value as string);
  return Buffer.concat([varint((number << 3) | bytesField), varint(bytes.length), bytes]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return Buffer.from([...bytes, value]);
}
