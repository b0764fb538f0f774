import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "../../test/fake-clock.js";
import type { Logger } from "../base/logger.js";
import { silentLogger } from "../base/logger.js";
import { LinkTrouble } from "./link-trouble.js";

function createTrouble() {
  const clock = new FakeClock();
  const lines: string[] = [];
  const write = (_: object, message?: string) => void lines.push(message ?? "");
  const log: Logger = { ...silentLogger, warn: write, info: write };
  let counted = 0;
  const names = { service: "Model", replica: "Model#0" };
  const trouble = new LinkTrouble({ names, address: "/x/1.sock", clock, log, count: () => counted++ });
  /** Fails each second, for so long. */
  const failFor = (ms: number) => {
    for (const end = clock.now() + ms; clock.now() < end; clock.advance(1000)) trouble.failed("ENOENT: gone");
  };
  return { clock, lines, trouble, failFor, count: () => counted };
}

describe("LinkTrouble", () => {
  it("counts each attempt, and keeps quiet while a replica may just have ended", () => {
    const { trouble, lines, failFor, count } = createTrouble();
    failFor(2000);
    assert.deepEqual([lines.length, count()], [0, 2]);
    trouble.over();
    assert.deepEqual([lines, trouble.obstacle], [[], undefined]);
  });

  it("tells what lasts once, then ever more seldom, and when it is over", () => {
    const { trouble, lines, failFor } = createTrouble();
    failFor(3000);
    assert.equal(trouble.obstacle, "Model#0 can't be reached: ENOENT: gone");
    assert.deepEqual(lines, [
      "no link to Model#0, which is ready: /x/1.sock: ENOENT: gone; the next attempt follows within a second",
    ]);
    failFor(3_600_000);
    assert.ok(lines.length >= 7 && lines.length <= 10, `${lines.length} lines in an hour`);
    trouble.over();
    assert.equal(lines.at(-1), "Model#0 was reached again");
    assert.equal(trouble.obstacle, undefined);
    const told = lines.length;
    failFor(3000);
    assert.equal(lines.length, told + 1, "the next one is told at once");
  });
});
