import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type AppFile, type Logger, ServingError } from "ekiben";
import { type ComposedApp, compose } from "ekiben/testing";
import { failureOf, type PlacementName } from "./conformance/suite.js";
import { Front, Thrower, wayNames } from "./hostile-failures/services.js";
import { thrownNames } from "./hostile-failures/thrown.js";

// Any value that an author throws fails only that one call: the replica keeps running, and calls beside it are
// answered.

const apps: readonly { name: string; placement: PlacementName; options?: AppFile }[] = [
  { name: "inline", placement: "inline" },
  { name: "thread", placement: "thread" },
  { name: "process", placement: "process" },
  {
    name: "process, with a callee that lives in its callers",
    placement: "process",
    options: { services: { Thrower: { placement: "inline" } } },
  },
];

/** Reads everything it is given, like a logger that writes JSON. */
function createGreedyLog(): Logger {
  const write = (fields: object) => {
    JSON.stringify(fields, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value));
    const { err } = fields as { err?: unknown };
    if (err instanceof Error) Object.assign(err, { seen: true });
  };
  return { debug: write, info: write, warn: write, error: write, child: () => createGreedyLog() };
}

const longestText = 64 * 1024;

for (const { name, placement, options } of apps) {
  describe(`in placement ${name}, whatever is thrown`, () => {
    let app: ComposedApp<Front>;
    let instances: readonly string[];
    let beside: Promise<string>;

    const readInstances = async () => [await app.entry.instance(), await app.service(Thrower).instance()];

    before(async () => {
      app = await compose(Front, { placement, log: createGreedyLog(), ...(options && { options }) });
      instances = await readInstances();
      beside = app.service(Thrower).hold();
    });
    after(async () => {
      await app?.service(Thrower).release();
      await app?.close();
    });

    const assertOneFailed = async (call: PromiseLike<unknown>, what: string) => {
      let error: ServingError;
      try {
        error = await failureOf(call);
      } catch (thrown) {
        throw new Error(`${what} did not fail as a call does`, { cause: thrown });
      }
      assert.equal(error.constructor, ServingError, what);
      assert.ok(error.message.length <= longestText, `${what}: ${error.message.length} characters`);
      assert.notEqual(error.id, "replica_lost", what);
      assert.notEqual(error.id, "malformed_frame", what);
    };

    for (const way of wayNames) {
      it(`fails one call when it is thrown ${way}`, async () => {
        for (const thrown of thrownNames)
          await assertOneFailed(app.entry.call({ way, name: thrown }), `${way}: ${thrown}`);
        assert.deepEqual(await readInstances(), instances);
      });
    }

    it("fails one call when it is thrown by the entry, beside a call of its own", async () => {
      for (const thrown of thrownNames) await assertOneFailed(app.entry.throwHere(thrown), thrown);
      assert.deepEqual(await readInstances(), instances);
    });

    for (const way of ["give", "giveItem", "inRow", "log"] as const) {
      it(`is answered or refused as a value: ${way}`, async () => {
        for (const thrown of thrownNames) {
          // The promise was logged, and its author may still await it.
          if (way === "log" && thrown === "a promise that rejects") continue;
          const outcome = await app.entry[way](thrown).then(
            () => "answered",
            (error: unknown) => error,
          );
          if (outcome === "answered") continue;
          assert.ok(outcome instanceof ServingError, thrown);
          assert.notEqual(outcome.id, "replica_lost", thrown);
        }
        assert.deepEqual(await readInstances(), instances);
      });
    }

    it("leaves a call beside all of them alone", async () => {
      await app.service(Thrower).release();
      assert.equal(await beside, "held");
    });
  });
}
