import assert from "node:assert/strict";
import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { LongText, makeText, readText } from "./long-text.js";

/** Longer than what is written at a time, with something else at each place where a piece may end. */
const narrow = Array.from({ length: 30_011 }, (_, i) => `é${i}\u0000ÿ`).join("");
/** An odd beginning, so that the halves of some characters fall into two pieces; and a half without its other. */
const wide = `x${"駅😀弁".repeat(70_000)}\ud800`;

describe("LongText", () => {
  for (const [what, text, form, width] of [
    ["latin1", narrow, "latin1", 1],
    ["two bytes a character", wide, "utf16", 2],
    ["nothing", "", "latin1", 1],
  ] as const) {
    it(`is the same text again from memory and from a file: ${what}`, () => {
      const long = new LongText(text);
      assert.deepEqual([long.form, long.byteLength], [form, text.length * width]);
      assert.equal(makeText(long.copy(), form), text);
      const frame = new Uint8Array(long.byteLength + 3).fill(9);
      long.copyTo(frame, 2);
      assert.deepEqual([makeText(frame.subarray(2, -1), form), frame[0], frame[1], frame.at(-1)], [text, 9, 9, 9]);
      using file = openFile();
      long.writeTo(file.descriptor);
      assert.equal(readText(file.descriptor, form, long.byteLength, 0), text);
      const [from, count] = [Math.floor(text.length / 3), Math.floor(text.length / 2)];
      assert.equal(readText(file.descriptor, form, count * width, from * width), text.substring(from, from + count));
    });
  }

  it("says that a file ends too early", () => {
    using file = openFile();
    new LongText("abc").writeTo(file.descriptor);
    assert.throws(() => readText(file.descriptor, "latin1", 4, 0), /it ends after 3 bytes/);
  });
});

function openFile() {
  const folder = mkdtempSync(join(tmpdir(), "ekiben-test-"));
  const descriptor = openSync(join(folder, "text"), "w+");
  const close = () => {
    closeSync(descriptor);
    rmSync(folder, { recursive: true });
  };
  return { descriptor, [Symbol.dispose]: close };
}
