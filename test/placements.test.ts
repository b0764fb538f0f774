import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { compose } from "ekiben/testing";
import { testFailures } from "./placements/failures.js";
import { Leaf, Middle, Top } from "./placements/services.js";
import { testStreams } from "./placements/streams.js";
import { testValues } from "./placements/values.js";

// What a call means is the same wherever the replica lives; a difference is a fault.
for (const placement of ["inline", "thread", "process"] as const) {
  describe(`placement ${placement}`, async () => {
    const app = await compose(Top, { placement });
    after(() => app.close());
    testValues(app);
    testFailures(app);
    testStreams(app);
  });

  describe(`placement ${placement}, replicas`, async () => {
    const services = { Leaf: { replicas: 2 }, Middle: { placement: "inline" } } as const;
    const app = await compose(Top, { placement, options: { services } });
    after(() => app.close());
    const leaf = app.service(Leaf);

    it("sends calls to the replica that is free", async () => {
      const busy = new AbortController();
      const held = leaf.hold("busy", { signal: busy.signal });
      const names = new Set<string>();
      for (let i = 0; i < 5; i++) names.add(await leaf.replica());
      assert.equal(names.size, 1);
      busy.abort();
      await assert.rejects(held, { id: "cancelled" });
    });

    it("answers calls on a lost replica with replica_lost, and is whole again", async () => {
      const held = [leaf.hold("lost 1"), leaf.hold("lost 2")];
      const lost = Promise.allSettled(held);
      await app.kill(Leaf, 0);
      await app.kill(Leaf, 1);
      for (const result of await lost) {
        assert.equal(result.status, "rejected");
        const { id, code, service } = (result as PromiseRejectedResult).reason;
        assert.deepEqual({ id, code, service }, { id: "replica_lost", code: "unavailable", service: "Leaf" });
      }
      assert.equal(await app.entry.echo("again"), "again");
    });

    it("reaches a service that lives in its callers", async () => {
      assert.match(await app.service(Middle).replica(), /^Leaf#[01]$/);
    });
  });
}
