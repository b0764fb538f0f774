import assert from "node:assert/strict";
import { appendFileSync, openAsBlob } from "node:fs";
import { describe, it } from "node:test";
import { openFileStore } from "../../test/transport/file-stores.js";
import { createPortableValues, refusedValues } from "../../test/transport/portable-values.js";
import { copyValue } from "../call/copy-value.js";
import { Tensor } from "../define/tensor.js";
import { ServingError } from "../failure/serving-error.js";
import { createHeldBlob, openHeldBlob } from "../held/held-blob.js";
import { decodedBytes } from "../held/held-bytes.js";
import { type EncodedValue, encodeValue } from "./encode-value.js";
import { loadTail, maxFrameBytes, noTails } from "./frame.js";
import { packValue } from "./stored-value.js";

const encode = (value: unknown) => encodeValue(value, "input") as EncodedValue;

describe("encodeValue", () => {
  it("leaves plain JSON as it is, with nothing beside it", () => {
    const value = { text: "hello", list: [1, 2.5, { a: null, b: true }], $: ["not a mark"] };
    assert.deepEqual(encode(value), { text: JSON.stringify(value), tails: [], isMarked: false });
    assert.equal(encode(value).tails, noTails);
  });

  it("gives bytes as views of the value, not as copies, and looks at no element", () => {
    const data = new Float32Array(6);
    const bytes = Buffer.from("abc");
    const { text, tails, isMarked } = encode({ image: new Tensor("float32", [2, 3], data), bytes });
    assert.equal(isMarked, true);
    assert.equal(text, '{"image":{"$":["tensor","float32",[2,3],0]},"bytes":{"$":["uint8",1]}}');
    assert.deepEqual(
      tails.map(loadTail).map(({ buffer, byteOffset, byteLength }) => [buffer, byteOffset, byteLength]),
      [
        [data.buffer, 0, 24],
        [bytes.buffer, bytes.byteOffset, 3],
      ],
    );
  });

  it("shares one list of no tails among marked values too", () => {
    assert.deepEqual(encode({ a: undefined }), { text: '{"a":{"$":"undefined"}}', tails: [], isMarked: true });
    assert.equal(encode(1n).tails, noTails);
  });

  it("writes no raw newline, whatever is in the value", async () => {
    for (const [, value] of createPortableValues()) assert.doesNotMatch((await encodeValue(value, "input")).text, /\n/);
  });

  it("answers with a promise only for a value that holds files", () => {
    for (const [what, value] of createPortableValues()) {
      assert.equal(encodeValue(value, "input") instanceof Promise, /blob|file/.test(what), what);
    }
  });

  it("sends what the value was when it was sent, also while its files are read", async () => {
    const value = { file: new Blob(["abc"]), bytes: new Uint8Array([1]), list: ["before"], map: new Map([[1, 1]]) };
    const sent = encodeValue(value, "input");
    value.bytes[0] = 9;
    value.list[0] = "after";
    value.map.clear();
    const { text, tails } = await sent;
    assert.equal(
      text,
      '{"file":{"$":["blob","",0]},"bytes":{"$":["uint8",1]},"list":["before"],"map":{"$":["map",[1,1]]}}',
    );
    assert.deepEqual(
      tails.map((tail) => [...loadTail(tail)]),
      [[97, 98, 99], [1]],
    );
  });

  it("changes nothing in the value", () => {
    const value = { a: undefined, b: [new Date(1), { $: 1 }], c: new Map([["k", Number.NaN]]) };
    const before = structuredClone(value);
    encode(value);
    assert.deepEqual(value, before);
  });

  it("writes byte arrays into the text when they are more than a frame has room for", () => {
    const { text, tails } = encode(Array.from({ length: 65_537 }, () => new Uint8Array([1, 2, 3])));
    assert.equal(tails.length, 65_535);
    assert.ok(text.endsWith('{"$":["uint8",65534]},{"$":["uint8","AQID"]},{"$":["uint8","AQID"]}]'));
  });

  for (const [what, value] of refusedValues) {
    it(`refuses ${what} in the words of copyValue`, () => {
      for (const name of ["input", "output"] as const) {
        const expected = catchError(() => copyValue(value, name));
        const { id, message, details } = catchError(() => encodeValue(value, name));
        assert.deepEqual({ id, message, details }, pickFields(expected));
      }
    });
  }

  it("refuses a tensor whose shape was replaced after it was made", () => {
    const tensor = new Tensor("float32", [2], new Float32Array(2));
    Object.assign(tensor, { shape: [3] });
    const expected = pickFields(catchError(() => copyValue({ tensor }, "input")));
    assert.deepEqual(pickFields(catchError(() => encode({ tensor }))), expected);
  });

  it("refuses a file that can't be read, and blames whoever gave it", async () => {
    class Lost extends Blob {
      override arrayBuffer(): Promise<ArrayBuffer> {
        return Promise.reject(new Error("it is gone"));
      }
    }
    const message =
      "output is a value with a Blob that can't be read (it is gone), which can't be sent from one service to another";
    await assert.rejects(async () => encodeValue([new Lost([])], "output"), { id: "output_not_transferable", message });
  });

  it("lets through what an author's own code throws while it is read", () => {
    const value = {
      get broken(): never {
        throw new Error("mine");
      },
    };
    assert.throws(() => encode(value), { message: "mine" });
  });

  it("refuses a file that is larger than a frame and can't lie on a disk, and does not read it", async () => {
    using store = openFileStore();
    const path = store.createFile(maxFrameBytes + 1).name?.path as string;
    const blob = await openAsBlob(path);
    // Reading it would fail.
    appendFileSync(path, "x");
    const tooLarge = { id: "payload_too_large", details: { bytes: maxFrameBytes + 1, maxBytes: maxFrameBytes } };
    await assert.rejects(encodeValue({ blob }, "input") as Promise<EncodedValue>, tooLarge);
    await assert.rejects(packValue({ blob }, "output") as Promise<Uint8Array>, tooLarge);
  });

  it("refuses to keep a file that came and is larger than a frame, and does not read it", async () => {
    using store = openFileStore();
    const file = store.createFile(maxFrameBytes);
    await openHeldBlob(file);
    const before = decodedBytes.count;
    assert.throws(() => packValue({ file: createHeldBlob(file, "") }, "output"), { id: "payload_too_large" });
    assert.equal(decodedBytes.count, before);
  });
});

function catchError(run: () => unknown): ServingError {
  try {
    run();
  } catch (error) {
    if (error instanceof ServingError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

const pickFields = ({ id, message, details }: ServingError) => ({ id, message, details });
