import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type LineSink, LineWriter } from "./line-writer.js";

/** A sink that takes what it is given when a test says so. */
function createWriter() {
  const pieces: string[] = [];
  const open: ((error?: Error | null) => void)[] = [];
  const last: string[] = [];
  const sink: LineSink = {
    mayTear: false,
    write: (text, done) => {
      pieces.push(text);
      open.push(done);
    },
    writeLast: (text) => last.push(text),
  };
  const end = (error?: Error) => {
    assert.equal(open.length, 1, "one piece at a time (OL1)");
    open.pop()?.(error);
  };
  return { writer: new LineWriter(sink), pieces, last, end, isBusy: () => open.length > 0 };
}

const line = `${"x".repeat(999)}\n`;

describe("LineWriter", () => {
  it("gathers lines into pieces that no other process can tear apart, and sends one at a time (OL1)", () => {
    const { writer, pieces, end, isBusy } = createWriter();
    for (let i = 0; i < 10; i++) writer.write(line);
    assert.equal(pieces.length, 1);
    while (isBusy()) end();
    writer.flush();
    end();
    assert.deepEqual(
      pieces.map(({ length }) => length),
      [4000, 4000, 2000],
    );
  });

  it("counts bytes, not characters (OL1)", () => {
    const { writer, pieces, end, isBusy } = createWriter();
    for (let i = 0; i < 10; i++) writer.write(`${"語".repeat(300)}\n`);
    writer.flush();
    while (isBusy()) end();
    for (const piece of pieces) assert.ok(Buffer.byteLength(piece) <= 4096, `${Buffer.byteLength(piece)} bytes`);
    assert.equal(pieces.join("").length, 10 * 301);
  });

  it("writes a line larger than a piece by itself, in its order (OL1)", () => {
    const { writer, pieces, end, isBusy } = createWriter();
    const large = `${"y".repeat(20_000)}\n`;
    for (const one of [line, large, line]) writer.write(one);
    writer.flush();
    while (isBusy()) end();
    assert.deepEqual(pieces, [line, large, line]);
  });

  it("drops what there is no room for, and says how many lines that were once a piece has left (OL2, OL3)", () => {
    const { writer, pieces, end, isBusy } = createWriter();
    for (let i = 0; i < 5_000; i++) writer.write(line);
    writer.flush();
    while (isBusy()) end();
    const text = pieces.join("");
    const [note = "", count = ""] = /"msg":"(\d+) log lines were dropped/.exec(text) ?? [];
    assert.notEqual(note, "");
    assert.equal(text.split(line).length - 1 + Number(count), 5_000);
    assert.ok(text.length < 1.1 * 1024 ** 2);
    writer.write(line);
    writer.flush();
    end();
    assert.equal(pieces.at(-1), line);
  });

  it("counts the lines of a piece that could not be written (OL3)", () => {
    const { writer, pieces, end } = createWriter();
    for (let i = 0; i < 3; i++) writer.write(line);
    writer.flush();
    end(new Error("EPIPE"));
    writer.write(line);
    writer.flush();
    end();
    assert.match(pieces.at(-1) ?? "", /"msg":"3 log lines were dropped: standard output did not accept them"/);
    end();
  });

  it("gives away what is left when the process ends, without what is on its way", () => {
    const { writer, pieces, last } = createWriter();
    for (let i = 0; i < 6; i++) writer.write(line);
    writer.flushLast();
    writer.flushLast();
    assert.equal(pieces.join("") + last.join(""), line.repeat(6));
  });
});
