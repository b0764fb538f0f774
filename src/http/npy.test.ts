import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type DType, Tensor } from "../define/tensor.js";
import { decodeNpy, encodeNpy } from "./npy.js";

/** As `numpy.save` writes it, with a header of one's own. */
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
      [createNpy(header.replace("False", "True"), data), /Fortran order/],
      [createNpy(header.replace("<f4", ">f4"), data), /dtype is '>f4', none of <f4/],
      [createNpy(header.replace("<f4", "|O"), data), /dtype is '\|O'/],
      [createNpy(header.replace("(2, 3)", "(2, 4)"), data), /needs 8 elements, data has 6/],
      [createNpy(header.replace("(2, 3)", "(99999999999999999999,)"), data), /not a size/],
      [createNpy(header, data.subarray(1)), /not a multiple of 4/],
      [createNpy(header.padEnd(5000), data), /at most 4096/],
    ];
    for (const [file, problem] of cases) assert.match(String(decodeNpy(file)), problem);
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
