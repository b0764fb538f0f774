import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { compose } from "ekiben/testing";
import { Compiled, Front, Model, replaceAfterMs, runMs, Scaled } from "./busy/services.js";
import { collect, failureOf, LogBook } from "./conformance/suite.js";

/** Log line of a supervisor about a replica that seems to hang. */
const isComplaint = (message = "") => /does not answer|did not answer/.test(message);

for (const placement of ["process", "thread"] as const) {
  describe(`a replica that is busy, in placement ${placement}`, () => {
    const open = async () => {
      const log = new LogBook();
      const app = await compose(Front, { placement, log: log.logger, options: { waitForReplicaMs: 60_000 } });
      const complaints = () => log.all().flatMap(({ message }) => (isComplaint(message) ? [message] : []));
      return { app, log, complaints, [Symbol.asyncDispose]: () => app.close() };
    };

    it("answers every call of a burst that takes far longer than it may be silent", async () => {
      await using opened = await open();
      const model = opened.app.service(Model);
      const count = Math.ceil((1.5 * replaceAfterMs) / runMs);
      const calls = Array.from({ length: count }, (_, i) => (i % 2 === 0 ? model.run(runMs) : model.runLater(runMs)));
      assert.equal(new Set(await Promise.all(calls)).size, 1);
      assert.deepEqual(opened.complaints(), []);
    });

    it("may be silent for longer in the first run of an api, and is as patiently waited for as that run took", async () => {
      await using opened = await open();
      const compiled = opened.app.service(Compiled);
      const first = await compiled.run(1);
      const [row] = await compiled.rows([1]);
      const items = await collect(compiled.items(1));
      assert.deepEqual(new Set([first, row, ...items]), new Set([first]));
      assert.equal(await compiled.run(1_000), first);
      assert.deepEqual(opened.complaints(), []);
    });

    it("gets help by another as soon as callers have more in flight than is meant for one", async () => {
      await using opened = await open();
      const scaled = opened.app.service(Scaled);
      const seen = new Set<string>();
      const ask = async () => {
        while (seen.size < 2) seen.add(await scaled.run(runMs));
      };
      await Promise.all(Array.from({ length: 8 }, ask));
    });

    it("is replaced when it does not end, after more time than any recent run took", async () => {
      await using opened = await open();
      const compiled = opened.app.service(Compiled);
      const first = await compiled.run(1);
      const lost = await failureOf(compiled.run(1e9));
      assert.equal(lost.id, "replica_lost");
      assert.match(lost.message, /did not answer for \d+ ms \(3 times its longest run\) and was killed/);
      assert.notEqual(await compiled.run(1), first);
    });
  });
}
