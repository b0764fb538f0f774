/** Values of a weight: float32, or int64. */
type WeightData = Float32Array | BigInt64Array;

/** Attribute of a node. */
type Attribute = number | readonly number[];

/** Axis of an input: a size, or a name for any size. */
type Axis = number | string;

const opset = 17;
/** Version of the file format that goes with the opset. */
const irVersion = 8;
/** Codes of element types in an ONNX file. */
const elementTypes = { float32: 1, int64: 7 } as const;

/** Part of a protobuf message: bytes, in pieces that are joined once at the end. */
type Message = readonly Uint8Array[];

/**
 * Builder of an ONNX model: operators in the order in which they run, and their weights.
 *
 * Each method returns the name of a value, which is an argument of later calls.
 */
export class OnnxGraph {
  readonly #nodes: Message[] = [];
  readonly #weights: Message[] = [];
  readonly #inputs: Message[] = [];
  readonly #outputs: Message[] = [];
  #values = 0;

  input(name: string, type: keyof typeof elementTypes, shape: readonly Axis[]): string {
    this.#inputs.push(describeValue(name, type, shape));
    return name;
  }

  output(name: string, shape: readonly Axis[]): void {
    this.#outputs.push(describeValue(name, "float32", shape));
  }

  /** Adds a weight. Its bytes are not copied before `encode`. */
  weight(shape: readonly number[], data: WeightData): string {
    const name = this.#nextName();
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const type = data instanceof Float32Array ? elementTypes.float32 : elementTypes.int64;
    this.#weights.push([
      ...shape.flatMap((size) => number(1, size)),
      ...number(2, type),
      ...text(8, name),
      ...message(9, [bytes]),
    ]);
    return name;
  }

  /** Adds a list of whole numbers: a shape, axes, bounds. */
  list(...values: readonly number[]): string {
    return this.weight([values.length], BigInt64Array.from(values, BigInt));
  }

  /** Adds an operator with one output. */
  run(operator: string, inputs: readonly string[], attributes: Readonly<Record<string, Attribute>> = {}): string {
    return this.split(operator, inputs, 1, attributes)[0] as string;
  }

  /** Adds an operator with several outputs. */
  split(operator: string, inputs: readonly string[], count: number, attributes: Readonly<Record<string, Attribute>>) {
    const outputs = Array.from({ length: count }, () => this.#nextName());
    this.#nodes.push([
      ...inputs.flatMap((name) => text(1, name)),
      ...outputs.flatMap((name) => text(2, name)),
      ...text(4, operator),
      ...Object.entries(attributes).flatMap(([name, value]) => message(5, describeAttribute(name, value))),
    ]);
    return outputs;
  }

  /** Encodes the model as the bytes of an ONNX file. */
  encode(): Uint8Array {
    const graph = [
      ...this.#nodes.flatMap((node) => message(1, node)),
      ...text(2, "graph"),
      ...this.#weights.flatMap((weight) => message(5, weight)),
      ...this.#inputs.flatMap((value) => message(11, value)),
      ...this.#outputs.flatMap((value) => message(12, value)),
    ];
    return Buffer.concat([...number(1, irVersion), ...message(7, graph), ...message(8, number(2, opset))]);
  }

  #nextName(): string {
    this.#values++;
    return `v${this.#values}`;
  }
}

function describeValue(name: string, type: keyof typeof elementTypes, shape: readonly Axis[]): Message {
  const axes = shape.map((axis) => (typeof axis === "number" ? number(1, axis) : text(2, axis)));
  const tensor = [
    ...number(1, elementTypes[type]),
    ...message(
      2,
      axes.flatMap((axis) => message(1, axis)),
    ),
  ];
  return [...text(1, name), ...message(2, message(1, tensor))];
}

/** Describes an attribute: a fraction is a float, other numbers are whole. */
function describeAttribute(name: string, value: Attribute): Message {
  if (typeof value === "object")
    return [...text(1, name), ...value.flatMap((item) => number(8, item)), ...number(20, 7)];
  if (Number.isInteger(value)) return [...text(1, name), ...number(3, value), ...number(20, 2)];
  const float = new Uint8Array(Float32Array.of(value).buffer);
  return [...text(1, name), Uint8Array.of((2 << 3) | 5), float, ...number(20, 1)];
}

function number(field: number, value: number): Message {
  return [encodeVarint(field << 3), encodeVarint(value)];
}

function text(field: number, value: string): Message {
  return message(field, [new TextEncoder().encode(value)]);
}

function message(field: number, parts: Message): Message {
  const length = parts.reduce((sum, part) => sum + part.byteLength, 0);
  return [encodeVarint((field << 3) | 2), encodeVarint(length), ...parts];
}

/** Encodes a whole number in groups of seven bits, the lowest first; a negative one as 64 bits. */
function encodeVarint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  do {
    const group = Number(rest & 0x7fn);
    rest >>= 7n;
    bytes.push(rest === 0n ? group : group | 0x80);
  } while (rest !== 0n);
  return Uint8Array.from(bytes);
}
