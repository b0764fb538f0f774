import { arrayByDType, type DType, type Tensor } from "../define/tensor.js";
import { tensorBytes, tensorFromBytes, tensorFromHeld } from "../define/tensor-forms.js";
import type { HeldFile } from "../held/held-file.js";

// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html

const magic = Buffer.from("\x93NUMPY", "latin1");

/** Array-protocol names of the dtypes, little-endian like tensors. */
const descriptions: Readonly<Record<DType, string>> = {
  float32: "<f4",
  float64: "<f8",
  int32: "<i4",
  int64: "<i8",
  uint8: "|u1",
};

const descrForm = /['"]descr['"]\s*:\s*(?:'([^']*)'|"([^"]*)")/;
const orderForm = /['"]fortran_order['"]\s*:\s*(True|False)/;
const shapeForm = /['"]shape['"]\s*:\s*\(([\d\s,L]*)\)/;
const typeForm = /^([<>=|])?([a-zA-Z?])(\d*)$/;

/**
 * Reads the bytes of an `.npy` file. Half-precision, boolean, small and unsigned elements get the next dtype that
 * holds each of them exactly. Big-endian elements are swapped.
 *
 * @returns The tensor, over `bytes` where they are aligned; or a text that says what is wrong and the line of Python
 *   that fixes it.
 */
export function decodeNpy(bytes: Uint8Array): Tensor | string {
  const head = readHead(bytes);
  return typeof head === "string" ? head : readElements(head.descr, head.shape, bytes.subarray(head.dataAt));
}

/**
 * Reads the head of an `.npy` file and leaves the elements in the file.
 *
 * @param beginning At least as many of its first bytes as a head may have.
 * @returns `undefined` when the elements can't stay as they are: they must be swapped or need another dtype.
 */
export function openNpy(beginning: Uint8Array, file: HeldFile): Tensor | string | undefined {
  const head = readHead(beginning);
  if (typeof head === "string") return head;
  const [, order = "|", kind = "", digits = ""] = typeForm.exec(head.descr) ?? [];
  const form = elementForms[kind === "?" ? "b1" : kind + digits];
  if (form === undefined || form.read !== undefined || (order === ">" && form.width > 1)) return undefined;
  const byteLength = file.byteLength - head.dataAt;
  if (byteLength % form.width !== 0) return undefined;
  return tensorFromHeld(form.dtype, head.shape, file.from(head.dataAt));
}

/** Header of an `.npy` file. */
interface NpyHead {
  readonly descr: string;
  readonly shape: readonly number[];
  /** Offset of the elements. */
  readonly dataAt: number;
}

function readHead(bytes: Uint8Array): NpyHead | string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (buffer.length < 10 || !buffer.subarray(0, 6).equals(magic)) return "it does not begin as an .npy file does";
  const version = buffer[6] as number;
  if (version < 1 || version > 3) return `its version is ${version}, not 1, 2 or 3`;
  const headerAt = version === 1 ? 10 : 12;
  if (buffer.length < headerAt) return "it ends within its header";
  const headerLength = version === 1 ? buffer.readUInt16LE(8) : buffer.readUInt32LE(8);
  const dataAt = headerAt + headerLength;
  if (buffer.length < dataAt) return "it ends within its header";
  if (headerLength > maxHeaderLength)
    return `its header has ${headerLength} bytes, at most ${maxHeaderLength} are read`;
  const header = buffer.toString("latin1", headerAt, dataAt);
  if (/['"]descr['"]\s*:\s*\[/.test(header)) return 'it has fields; send one of them: numpy.save(file, x["name"])';
  const descr = descrForm.exec(header);
  const order = orderForm.exec(header)?.[1];
  const sizes = shapeForm.exec(header)?.[1];
  if (descr === null || order === undefined || sizes === undefined) {
    return "its header does not give descr, fortran_order and shape";
  }
  const shape = sizes.match(/\d+/g)?.map(Number) ?? [];
  // Both orders are the same when one axis at most is longer than 1.
  if (order === "True" && shape.filter((dim) => dim !== 1).length > 1) {
    return "it is in Fortran order; save numpy.ascontiguousarray(x)";
  }
  return { descr: descr[1] ?? descr[2] ?? "", shape, dataAt };
}

/** Longest header that is read. No shape needs more; a longer one is an attack on the pattern that parses it. */
const maxHeaderLength = 4096;

/** Reader for the elements of one kind and width: as they are, or one by one into a dtype that holds them. */
interface ElementForm {
  readonly width: number;
  readonly dtype: DType;
  readonly read?: (view: DataView, at: number) => number | bigint;
}

const elementForms: Readonly<Record<string, ElementForm>> = {
  f2: { width: 2, dtype: "float32", read: (view, at) => readHalf(view.getUint16(at, true)) },
  f4: { width: 4, dtype: "float32" },
  f8: { width: 8, dtype: "float64" },
  i1: { width: 1, dtype: "int32", read: (view, at) => view.getInt8(at) },
  i2: { width: 2, dtype: "int32", read: (view, at) => view.getInt16(at, true) },
  i4: { width: 4, dtype: "int32" },
  i8: { width: 8, dtype: "int64" },
  u1: { width: 1, dtype: "uint8" },
  b1: { width: 1, dtype: "uint8" },
  u2: { width: 2, dtype: "int32", read: (view, at) => view.getUint16(at, true) },
  u4: { width: 4, dtype: "int64", read: (view, at) => BigInt(view.getUint32(at, true)) },
};

function readElements(descr: string, shape: readonly number[], bytes: Uint8Array): Tensor | string {
  const [, order = "|", kind = "", digits = ""] = typeForm.exec(descr) ?? [];
  const form = elementForms[kind === "?" ? "b1" : kind + digits];
  if (form === undefined) return unknownType(descr, kind);
  const { width, dtype, read } = form;
  if (bytes.byteLength % width !== 0) return `data has ${bytes.byteLength} bytes, not a multiple of ${width}`;
  const ordered = order === ">" && width > 1 ? swapBytes(bytes, width) : bytes;
  if (read === undefined) return tensorFromBytes(dtype, shape, ordered);
  const data = new arrayByDType[dtype](bytes.byteLength / width);
  const view = new DataView(ordered.buffer, ordered.byteOffset, ordered.byteLength);
  for (let i = 0; i < data.length; i++) (data as { [index: number]: number | bigint })[i] = read(view, i * width);
  return tensorFromBytes(dtype, shape, new Uint8Array(data.buffer as ArrayBuffer));
}

function unknownType(descr: string, kind: string): string {
  const text = `its dtype is '${descr}', none that a tensor can have`;
  if (kind === "u") return `${text}; save x.astype("int64")`;
  if (kind === "O" || kind === "U" || kind === "S") return `${text}; send texts as JSON`;
  return `${text}; save x.astype("float32")`;
}

function swapBytes(bytes: Uint8Array, width: number): Uint8Array {
  const copy = Buffer.from(new Uint8Array(bytes).buffer);
  if (width === 2) return copy.swap16();
  return width === 4 ? copy.swap32() : copy.swap64();
}

/** IEEE 754 binary16. */
function readHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/** Writes a tensor as an `.npy` file, version 1.0. */
export function encodeNpy(value: Tensor): Buffer {
  const sizes = value.shape.map((dim: number) => `${dim},`).join(" ");
  const shape = value.shape.length > 1 ? sizes.slice(0, -1) : sizes;
  const header = `{'descr': '${descriptions[value.dtype]}', 'fortran_order': False, 'shape': (${shape}), }`;
  // The data starts at a multiple of 64 bytes, so that the file can be memory-mapped.
  const headerLength = Math.ceil((10 + header.length + 1) / 64) * 64 - 10;
  const data = tensorBytes(value);
  const file = Buffer.allocUnsafeSlow(10 + headerLength + data.length);
  magic.copy(file);
  file.writeUInt16LE(1, 6);
  file.writeUInt16LE(headerLength, 8);
  file.write(`${header.padEnd(headerLength - 1)}\n`, 10, "latin1");
  file.set(data, 10 + headerLength);
  return file;
}
