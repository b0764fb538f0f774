import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { compose } from "ekiben/testing";
import { Downstairs, Upstairs } from "./services/stairs.js";
import { failureOf, type Suite } from "./suite.js";

export function testOrder({ placement, newFile }: Suite): void {
  const readTrail = (file: string) => readFileSync(file, "utf8").trim().split("\n");

  describe("an app that closes", () => {
    it("answers what it accepted, and stops callers before their callees", async () => {
      const file = newFile();
      const app = await compose(Upstairs, { placement });
      await app.entry.watch(file);
      const items = app.entry.climb(50)[Symbol.asyncIterator]();
      assert.equal((await items.next()).value, 1);
      const closed = app.close();
      let last: number | undefined;
      for (let step = await items.next(); step.done !== true; step = await items.next()) last = step.value;
      assert.equal(last, 50);
      await closed;
      assert.deepEqual(readTrail(file), ["first step", "last step", "Upstairs stopped", "Downstairs stopped"]);
    });

    it("refuses what comes later", async () => {
      const app = await compose(Upstairs, { placement });
      await app.close();
      for (const call of [app.entry.calls(), app.service(Downstairs).step(0)]) {
        const { code, id } = await failureOf(call);
        assert.deepEqual([code, id], ["unavailable", "draining"]);
      }
    });

    it("closes once, however often it is told", async () => {
      const file = newFile();
      const app = await compose(Upstairs, { placement });
      await app.entry.watch(file);
      await Promise.all([app.close(), app.close()]);
      await app.close();
      assert.deepEqual(readTrail(file), ["Upstairs stopped", "Downstairs stopped"]);
    });
  });
}
