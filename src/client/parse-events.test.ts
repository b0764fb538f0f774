import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EventParser } from "./open-stream.js";

const parse = (text: string, pieceLength: number) => {
  const parser = new EventParser();
  const events = [];
  for (let at = 0; at < text.length; at += pieceLength) events.push(...parser.add(text.slice(at, at + pieceLength)));
  return { events, isInside: parser.isInside };
};

describe("EventParser", () => {
  const text =
    ': a comment\n\ndata: {"a":1}\n\ndata:no space\r\n\r\nevent: error\ndata: one\ndata: two\nid: 7\n\nevent: ping\n\ndata\n\n';
  const events = [
    { name: "message", data: '{"a":1}' },
    { name: "message", data: "no space" },
    { name: "error", data: "one\ntwo" },
    { name: "message", data: "" },
  ];

  it("gives the same events however the text is cut", () => {
    for (const length of [1, 2, 3, 7, text.length]) {
      assert.deepEqual(parse(text, length), { events, isInside: false }, `pieces of ${length}`);
    }
  });

  it("knows that an event has begun whose end has not come", () => {
    for (const begun of ["data: x", "data: x\n", "event: error\n", "data: x\n\nda"]) {
      assert.equal(parse(begun, 100).isInside, true, begun);
    }
    assert.equal(parse("", 1).isInside, false);
    assert.equal(parse(": comment\n", 100).isInside, false);
  });
});
