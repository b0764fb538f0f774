import type { DType, Tensor } from "../define/tensor.js";
import { tensorBytes, tensorFromBytes } from "../define/tensor-forms.js";

// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html

const magic = Buffer.from("\x93NUMPY", "latin1");

/** The array-protocol names of the dtypes, little-endian as tensors are. */
const descriptions: Readonly<Record<DType, string>> = {
  float32: "<f4",
  float64: "<f8",
  int32: "<i4",
  int64: "<i8",
  uint8: "|u1",
};

const descrForm = /'descr'\s*:\s*'([^']*)'/;
const orderForm = /'fortran_order'\s*:\s*(True|False)/;
const shapeForm = /'shape'\s*:\s*\(([\d\s,L]*)\)/;

/**
 * Reads the bytes of an `.npy` file.
 *
 * @returns The tensor, over `bytes` where they are aligned; or what is wrong with them.
 */
export function decodeNpy(bytes: Uint8Array): Tensor | string {
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
  const descr = descrForm.exec(header)?.[1];
  const order = orderForm.exec(header)?.[1];
  const sizes = shapeForm.exec(header)?.[1];
  if (descr === undefined || order === undefined || sizes === undefined) {
    return "its header does not give descr, fortran_order and shape";
  }
  if (order === "True") return "it is in Fortran order; save numpy.ascontiguousarray(x)";
  const dtype = readDescription(descr);
  if (dtype === undefined) {
    return `its dtype is '${descr}', none of ${Object.values(descriptions).join(", ")}`;
  }
  const shape = sizes.match(/\d+/g)?.map(Number) ?? [];
  return tensorFromBytes(dtype, shape, bytes.subarray(dataAt));
}

/** More than any shape needs; a larger one is an attack on the pattern that reads it. */
const maxHeaderLength = 4096;

function readDescription(descr: string): DType | undefined {
  const name = descr === "<u1" ? "|u1" : descr;
  return (Object.keys(descriptions) as DType[]).find((dtype) => descriptions[dtype] === name);
}

/** Writes a tensor as an `.npy` file, version 1.0. */
export function encodeNpy(value: Tensor): Buffer {
  const sizes = value.shape.map((dim: number) => `${dim},`).join(" ");
  const shape = value.shape.length > 1 ? sizes.slice(0, -1) : sizes;
  const header = `{'descr': '${descriptions[value.dtype]}', 'fortran_order': False, 'shape': (${shape}), }`;
  // The data starts at a multiple of 64 bytes, so that it may be mapped.
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
