import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { RunningApp } from "./faults/running-app.js";

describe("/readyz", () => {
  for (const placement of ["inline", "thread", "process"]) {
    it(`names apis whose slots are all held by calls that nobody waits for, in placement ${placement}`, async () => {
      using app = new RunningApp("stuck.mjs:Stuck", ["--placement", placement]);
      const url = await app.command.url();
      const gone = new AbortController();
      const call = (api: string, body: string, headers = {}, signal: AbortSignal | null = null) =>
        fetch(`${url}/${api}`, {
          method: "POST",
          body,
          headers: { "content-type": "application/json", ...headers },
          signal,
        });
      // A batch of two calls, of which only one has timed out.
      const waiting = call("pairs", '["a"]', {}, gone.signal).catch(() => {});
      const [pair, one, row] = await Promise.all([
        call("pairs", '["b"]', { "ekiben-timeout-ms": "500" }),
        call("one", '"a"'),
        call("rows", '["a"]'),
      ]);
      assert.deepEqual([pair.status, one.status, row.status], [504, 504, 504]);
      let strains: readonly string[] = [];
      while (strains.length < 2) strains = (await app.get("/readyz")).body.services[0].strains ?? [];
      const held = "its only slot is held by calls that timed out or were cancelled and have not ended; 0 wait";
      assert.deepEqual(strains, [`Stuck#0: Stuck.one: ${held}`, `Stuck#0: Stuck.rows: ${held}`]);
      gone.abort();
      await waiting;
    });
  }
});
