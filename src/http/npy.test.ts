import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type DType, Tensor } from "../define/tensor.js";
import { decodeNpy, encodeNpy } from "./npy.js";

/** Writes a file as `numpy.save` does, with a given header. */
function createNpy(header: string, data: Uint8Array, version = 1): Uint8Array {
  const length = Buffer.alloc(version === 1 ? 2 : 4);
  if (version === 1) length.writeUInt16LE(header.length);
  else length.writeUInt32LE(header.length);
  return Buffer.concat([
    Buffer.from("\x93NUMPY", "latin1"),
    Buffer.from([version, 0]),
    length,
    Buffer.from(header),
    data,
  ]);
}

const data = new Uint8Array(new Float32Array([1, 2, 3, 4, 5, 6]).buffer);
const header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n";

describe("decodeNpy", () => {
  it("reads versions 1, 2 and 3, the fields in any order", () => {
    const other = "{'shape': (2, 3), 'fortran_order': False, 'descr': '<f4'}   \n";
    for (const file of [createNpy(header, data), createNpy(header, data, 2), createNpy(other, data, 3)]) {
      const read = decodeNpy(file) as Tensor;
      assert.equal(read.dtype, "float32");
      assert.deepEqual(read.shape, [2, 3]);
      assert.deepEqual([...(read.data as Float32Array)], [1, 2, 3, 4, 5, 6]);
    }
  });

  it("says what is wrong with a file", () => {
    const cases: [Uint8Array, RegExp][] = [
      [new Uint8Array(0), /does not begin/],
      [Buffer.from("PK\x03\x04 a zip is no npy"), /does not begin/],
      [createNpy(header, data, 4), /version is 4/],
      [createNpy(header, data).subarray(0, 20), /ends within its header/],
      [createNpy("{}", data), /does not give descr/],
      [createNpy(header.replace("False", "True"), data), /Fortran order; save numpy.ascontiguousarray/],
      [createNpy(header.replace("<f4", "|O"), data), /dtype is '\|O'.*send texts as JSON/],
      [createNpy(header.replace("<f4", "<U4"), data), /send texts as JSON/],
      [createNpy(header.replace("<f4", "<u8"), data), /'<u8'.*x\.astype\("int64"\)/],
      [createNpy(header.replace("<f4", "<c8"), data), /'<c8'.*x\.astype\("float32"\)/],
      [createNpy(header.replace("'<f4'", "[('a', '<f4')]"), data), /has fields.*x\["name"\]/],
      [createNpy(header.replace("(2, 3)", "(100000000, 0)"), new Uint8Array(0)), /100000000 rows without an element/],
      [createNpy(header.replace("(2, 3)", `(${"1,".repeat(1000)})`), data), /1000 sizes, at most 64/],
      [createNpy(header.replace("(2, 3)", "(2, 4)"), data), /needs 8 elements, data has 6/],
      [createNpy(header.replace("(2, 3)", "(99999999999999999999,)"), data), /not a size/],
      [createNpy(header, data.subarray(1)), /not a multiple of 4/],
      [createNpy(header.padEnd(5000), data), /at most 4096/],
    ];
    for (const [file, problem] of cases) assert.match(String(decodeNpy(file)), problem);
  });

  it("reads every dtype of numbers that a tensor holds exactly, in either byte order", () => {
    const bytes = (...values: number[]) => new Uint8Array(values);
    const cases: [string, Uint8Array, DType, (number | bigint)[]][] = [
      [">f4", bytes(0x3f, 0x80, 0, 0, 0xc0, 0, 0, 0), "float32", [1, -2]],
      ["=f4", bytes(0, 0, 0x80, 0x3f), "float32", [1]],
      ["<f2", bytes(0, 0x3c, 1, 0, 0xff, 0x7b, 0, 0xfc), "float32", [1, 2 ** -24, 65504, Number.NEGATIVE_INFINITY]],
      [">f2", bytes(0xc1, 0), "float32", [-2.5]],
      [">f8", bytes(0x3f, 0xf0, 0, 0, 0, 0, 0, 0), "float64", [1]],
      ["|b1", bytes(0, 1), "uint8", [0, 1]],
      ["|i1", bytes(0xff, 1), "int32", [-1, 1]],
      ["<i2", bytes(0xfe, 0xff), "int32", [-2]],
      ["<u2", bytes(0xff, 0xff), "int32", [65535]],
      ["<u4", bytes(0xff, 0xff, 0xff, 0xff), "int64", [4294967295n]],
      [">i8", bytes(0, 0, 0, 0, 0, 0, 0, 5), "int64", [5n]],
    ];
    for (const [descr, content, dtype, elements] of cases) {
      // One byte before it, so that nothing is aligned.
      const file = createNpy(` {'descr': '${descr}', 'fortran_order': False, 'shape': (${elements.length},)}`, content);
      const read = decodeNpy(file) as Tensor;
      assert.deepEqual([read.dtype, [...(read.data as Float32Array)]], [dtype, elements], descr);
    }
  });

  it("reads headers with double quotes, and Fortran order where it is the same", () => {
    const doubled = header.replaceAll("'", '"');
    assert.deepEqual((decodeNpy(createNpy(doubled, data)) as Tensor).shape, [2, 3]);
    const one = header.replace("False", "True").replace("(2, 3)", "(6,)");
    assert.deepEqual((decodeNpy(createNpy(one, data)) as Tensor).shape, [6]);
    const flat = header.replace("False", "True").replace("(2, 3)", "(1, 6, 1)");
    assert.deepEqual((decodeNpy(createNpy(flat, data)) as Tensor).shape, [1, 6, 1]);
  });

  it("gives back what encodeNpy wrote, for every dtype and rank", () => {
    const values: [DType, number[]][] = [
      ["float32", []],
      ["float64", [3]],
      ["int32", [2, 2]],
      ["uint8", [0]],
      ["float32", [1, 2, 3, 4]],
      ["int64", [2]],
    ];
    for (const [dtype, shape] of values) {
      const size = shape.reduce((product, dim) => product * dim, 1);
      const array = {
        float32: Float32Array,
        float64: Float64Array,
        int32: Int32Array,
        uint8: Uint8Array,
        int64: BigInt64Array,
      };
      const tensor = new Tensor(dtype, shape, new array[dtype](size) as never);
      const file = encodeNpy(tensor);
      assert.equal((file.length - tensor.data.byteLength) % 64, 0, "the data begins at a multiple of 64");
      const read = decodeNpy(file) as Tensor;
      assert.deepEqual({ dtype: read.dtype, shape: read.shape }, { dtype, shape });
      assert.deepEqual(read.data, tensor.data);
    }
  });

  it("never throws, whatever a file is cut to or has changed in it", () => {
    const file = Buffer.from(createNpy(header, data));
    for (let i = 0; i < file.length; i++) {
      decodeNpy(file.subarray(0, i));
      for (const byte of [0, 0x27, 0xff]) {
        const changed = Buffer.from(file);
        changed[i] = byte;
        decodeNpy(changed);
      }
    }
  });
});
