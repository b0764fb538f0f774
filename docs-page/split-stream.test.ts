import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { splitStream } from "./split-stream.js";

async function split(type: string, ...chunks: string[]) {
  const body = ReadableStream.from(chunks.map((chunk) => new TextEncoder().encode(chunk)));
  const items = [];
  for await (const item of splitStream(body as never, type)) items.push(item);
  return items;
}

describe("splitStream", () => {
  it("cuts events wherever the chunks end, with the last one unfinished", async () => {
    const items = await split("text/event-stream", "data: 1\n\nda", "ta: 2\r\n", "\r\nevent: error\ndata: a\ndata: b");
    assert.deepEqual(items, [
      { name: undefined, text: "1" },
      { name: undefined, text: "2" },
      { name: "error", text: "a\nb" },
    ]);
  });

  it("cuts lines, and passes plain text on as it comes", async () => {
    assert.deepEqual(await split("application/x-ndjson", '{"a"', ":1}\n\n2\n", "3"), [
      { text: '{"a":1}' },
      { text: "2" },
      { text: "3" },
    ]);
    assert.deepEqual(await split("text/plain", "a\nb", "c"), [{ text: "a\nb" }, { text: "c" }]);
  });
});
