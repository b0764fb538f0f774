import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { loadSqlite } from "./sqlite-driver.js";
import { migrateSqlite } from "./sqlite-schema.js";
import { lookTexts, writeTexts } from "./sqlite-statements.js";

const folder = mkdtempSync(join(tmpdir(), "ekiben-plans-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Each statement that may run while 100,000 tasks wait, and the index that must keep it from looking at all of them. */
const indexed = {
  claim: [writeTexts.claim, "tasks_ready"],
  wake: [writeTexts.wake, "tasks_wake"],
  canClaim: [lookTexts.canClaim, "tasks_ready", "tasks_wake"],
  nextWake: [lookTexts.nextWake, "tasks_wake"],
  countReady: [lookTexts.countReady, "tasks_ready"],
  countWoken: [lookTexts.countWoken, "tasks_wake"],
  ended: [lookTexts.ended, "tasks_ended"],
  named: [lookTexts.named, "inputs_file", "outputs_file"],
} as const;

describe("statements of SQLite", async () => {
  const connection = (await loadSqlite())(join(folder, "tasks.db"));
  await migrateSqlite(connection);
  after(() => connection.close());

  for (const [name, [text, ...indexes]] of Object.entries(indexed)) {
    it(`${name} looks into ${indexes.join(" and ")}, and sorts nothing`, async () => {
      const plan = ((await (await connection.prepare(`EXPLAIN QUERY PLAN ${text}`)).all()) as { detail: string }[]).map(
        ({ detail }) => detail,
      );
      for (const index of indexes)
        assert.ok(
          plan.some((line) => line.includes(index)),
          plan.join("; "),
        );
      const isSlow = /^SCAN (tasks|inputs|outputs|t|i|o)( |$)|TEMP B-TREE FOR (ORDER|GROUP)/;
      assert.deepEqual(
        plan.filter((line) => isSlow.test(line) && !line.includes("USING")),
        [],
      );
    });
  }
});
