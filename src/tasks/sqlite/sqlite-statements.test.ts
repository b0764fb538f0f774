import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { migrateSqlite } from "./open-sqlite.js";
import { loadSqlite } from "./sqlite-driver.js";
import { statementTexts } from "./sqlite-statements.js";

const folder = mkdtempSync(join(tmpdir(), "ekiben-plans-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/**
 * Each statement that may run while 100,000 tasks wait, and the index that must keep it from looking at all of them.
 */
const indexed = {
  claim: [statementTexts.claim, "tasks_ready"],
  wake: [statementTexts.wake, "tasks_wake"],
  release: [statementTexts.release, "tasks_wake"],
  shortenLeases: [statementTexts.shortenLeases, "tasks_wake"],
  ofKey: [statementTexts.ofKey, "tasks_key"],
  freeKeys: [statementTexts.freeKeys, "tasks_key"],
  adopt: [statementTexts.adopt, "tasks_nobody"],
  nextReadyPlace: [statementTexts.nextReadyPlace, "tasks_ready"],
  nextWokenPlace: [statementTexts.nextWokenPlace, "tasks_wake"],
  countOpen: [statementTexts.countOpen, "tasks_ready", "tasks_wake"],
  canClaim: [statementTexts.canClaim, "tasks_ready", "tasks_wake"],
  nextWake: [statementTexts.nextWake, "tasks_wake"],
  countReady: [statementTexts.countReady, "tasks_ready"],
  countWoken: [statementTexts.countWoken, "tasks_wake"],
  ended: [statementTexts.ended, "tasks_ended"],
  named: [statementTexts.named, "inputs_file", "outputs_file"],
} as const;

describe("statements of SQLite", async () => {
  const connection = (await loadSqlite())(join(folder, "tasks.db"));
  migrateSqlite(connection);
  after(() => connection.close());

  for (const [name, [text, ...indexes]] of Object.entries(indexed)) {
    it(`${name} looks into ${indexes.join(" and ")}, and sorts nothing`, () => {
      const plan = (connection.prepare(`EXPLAIN QUERY PLAN ${text}`).all() as { detail: string }[]).map(
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
