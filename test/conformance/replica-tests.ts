import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { describe, it } from "node:test";
import { formatValue } from "./describe-value.js";
import { createSpoilable, spoil } from "./services/echo.js";
import { Faulty } from "./services/faulty.js";
import { Pair } from "./services/pair.js";
import { collectFailing, failureOf, newName, readFailure, type Suite } from "./suite.js";

export function testReplicas({ app, newFile, placement, isRemote }: Suite): void {
  const faulty = () => app().service(Faulty);
  const pair = () => app().service(Pair);

  describe("replicas", () => {
    it("take turns while all are free", async () => {
      const seen = new Set<string>();
      // Of replicas in another app, which many apps may call, one of two that are free is taken at random.
      for (let i = 0; i < 4 || (isRemote && seen.size < 2); i++) seen.add((await pair().who()).id);
      assert.deepEqual([...seen].sort(), ["Pair#0", "Pair#1"]);
      const { id, index } = await app().entry.pairOfPair();
      assert.equal(id, `Pair#${index}`);
    });

    it("get calls while they are free, and none while another is free and they are busy", async () => {
      const busy = pair().occupy()[Symbol.asyncIterator]();
      const { value } = await busy.next();
      const seen = new Set<string>();
      for (let i = 0; i < 6; i++) seen.add((await pair().who()).id);
      assert.deepEqual([...seen], [value?.id === "Pair#0" ? "Pair#1" : "Pair#0"]);
      await busy.return?.();
    });

    it("are replaced one by one", async () => {
      const instances = async () => {
        const seen = new Map<string, string>();
        while (seen.size < 2) {
          const { id, instance } = await pair().who();
          seen.set(id, instance);
        }
        return seen;
      };
      const before = await instances();
      await app().kill(Pair, 1);
      const after = await instances();
      assert.equal(after.get("Pair#0"), before.get("Pair#0"));
      assert.notEqual(after.get("Pair#1"), before.get("Pair#1"));
    });
  });

  describe("a replica that is lost", () => {
    it("fails the calls on it with replica_lost, over one hop and over three, and comes back", async () => {
      const before = await faulty().instance();
      const [near, far] = [newName("near"), newName("far")];
      const failures = [
        failureOf(faulty().hold(near)),
        failureOf(app().entry.relay({ to: "faulty", api: "hold", input: far })),
      ];
      await faulty().seen(`${near} begun`);
      await faulty().seen(`${far} begun`);
      const killed = app().kill(Faulty);
      for (const failure of failures) {
        const { message, details, ...read } = readFailure(await failure);
        const wanted = { code: "unavailable", id: "replica_lost", service: "Faulty", api: "hold" };
        assert.deepEqual(read, { ...wanted, retryable: true, httpStatus: 503 });
        assert.match(String(details["replica"]), isRemote ? /^\S+\/Faulty#0$/ : /^Faulty#0$/);
        assert.match(message, /^replica (\S+\/)?Faulty#0 was lost while the call was on it/);
      }
      await killed;
      const after = await faulty().instance();
      assert.notEqual(after, before);
      assert.equal(await app().entry.instanceOfFaulty(), after);
    });

    it("fails the streams on it with replica_lost, after their items", async () => {
      const items = faulty().endless("x")[Symbol.asyncIterator]();
      for (const wanted of [0, 1, 2]) assert.equal((await items.next()).value, wanted);
      const killed = app().kill(Faulty);
      const { items: rest, error } = await collectFailing({ [Symbol.asyncIterator]: () => items });
      assert.deepEqual(
        rest,
        rest.map((_, i) => i + 3),
      );
      assert.deepEqual([error.id, error.code, error.service], ["replica_lost", "unavailable", "Faulty"]);
      await killed;
      assert.notEqual(await faulty().instance(), "");
    });

    it("is waited for by the calls that come while it is away, each with its input as it was", async () => {
      const file = newFile();
      writeFileSync(file, "");
      const killed = app().kill(Faulty);
      const value = createSpoilable();
      const answer = faulty().attempt({ file, value });
      spoil(value);
      assert.equal(await answer, `second life: ${formatValue(createSpoilable())}`);
      await killed;
    });

    // Killing an inline replica only stops it: its code still runs in this thread, so its calls are not given to
    // another replica.
    const fate = placement === "inline" ? "fails a call" : "leaves a call to the next, with its input as it was,";
    it(`${fate} where the api is idempotent`, async () => {
      const file = newFile();
      const value = createSpoilable();
      const answer = faulty().attempt({ file, value });
      const outcome = placement === "inline" ? failureOf(answer).then(({ id }) => id) : answer;
      spoil(value);
      await faulty().seen(`${file} begun`);
      await app().kill(Faulty);
      const wanted = placement === "inline" ? "replica_lost" : `second life: ${formatValue(createSpoilable())}`;
      assert.equal(await outcome, wanted);
    });
  });
}
