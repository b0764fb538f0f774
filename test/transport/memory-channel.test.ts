import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { testChannel } from "./channel-promises.js";
import { createMemoryChannels } from "./memory-channel.js";
import { ReaderLog } from "./reader-log.js";

describe("a memory channel", () => {
  testChannel(async () => ({ ends: createMemoryChannels() }));

  it("hands over nothing before control returns", async () => {
    const [one, two] = createMemoryChannels();
    const reader = new ReaderLog();
    two.open(reader);
    one.send({ kind: 3, flags: 0, id: 1, head: "", tails: [] });
    assert.equal(reader.frames.length, 0);
    await reader.take(1);
  });
});
