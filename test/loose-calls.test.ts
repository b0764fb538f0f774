import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { AppFile } from "ekiben";
import { type ComposedApp, compose } from "ekiben/testing";
import { collect, failureOf, LogBook, type PlacementName } from "./conformance/suite.js";
import { calleeOf, Forgetful, formNames, heldForms, Model } from "./loose-calls/services.js";

// Calls that nobody awaits, in every form and placement. In placement inline, an unhandled rejection would fail the
// test itself.

const apps: readonly { name: string; placement: PlacementName; options?: AppFile }[] = [
  { name: "inline", placement: "inline" },
  { name: "thread", placement: "thread" },
  { name: "process", placement: "process" },
  {
    name: "process, with a model that lives in its callers",
    placement: "process",
    options: { services: { Model: { placement: "inline" } } },
  },
];

const told = "failed, and Forgetful.drop never read its result";

for (const { name, placement, options } of apps) {
  describe(`in placement ${name}, a call that nobody waits for`, () => {
    let app: ComposedApp<Forgetful>;
    let instance: string;
    const log = new LogBook();

    before(async () => {
      app = await compose(Forgetful, { placement, log: log.logger, ...(options && { options }) });
      instance = await app.entry.instance();
    });
    after(async () => app?.close());

    /** Checks that the replica with the dropped calls was not replaced, and still answers. */
    const lives = async () => {
      assert.equal(await app.entry.instance(), instance);
      assert.equal(await app.service(Model).upper("a"), "A");
    };

    it("is one line of the log when start() has left it and it fails (XU3)", async () => {
      const line = await log.take(
        "Model.run, called by Forgetful, failed, and no caller was waiting for it: no such word; await the call, or catch its failure",
      );
      assert.equal(line.fields["callee"], "Model.run");
      assert.equal(line.fields["failure"], "no_such_word");
    });

    for (const form of heldForms) {
      it(`is cancelled without a log line when its api returns or throws (XU2): ${form}`, async () => {
        assert.equal(await app.entry.leave(form), "left");
        assert.equal((await failureOf(app.entry.leaveByError(form))).id, "left");
        await lives();
      });
    }

    for (const form of formNames) {
      it(`is one line of the log when it fails (XU3): ${form}`, async () => {
        assert.equal(await app.entry.drop(form), "dropped");
        const callee = calleeOf(form);
        const line = await log.takeWhere(
          ({ message, fields }) => fields["callee"] === callee && /failed, and/.test(message ?? ""),
        );
        assert.match(line.message ?? "", form.includes("detached") ? /no caller was waiting for it/ : new RegExp(told));
        assert.match(line.message ?? "", /; await the call, or catch its failure$/);
        await lives();
      });

      it(`may be read long after it has failed, and ends no process (XU1): ${form}`, async () => {
        assert.notEqual(await app.entry.lookLate(form), "answered");
        await lives();
      });
    }

    it("is one line of the log when a task or a generator leaves it", async () => {
      assert.equal(await app.entry.dropInTask("a call"), "dropped");
      await log.takeWhere(({ message }) => /called by Forgetful.dropInTask, failed/.test(message ?? ""));
      assert.deepEqual(await collect(app.entry.dropInStream("a call")), ["dropped"]);
      await log.takeWhere(({ message }) => /called by Forgetful.dropInStream, failed/.test(message ?? ""));
      await lives();
    });

    it("is cancelled without a log line by a signal of its own (XU2)", async () => {
      assert.equal(await app.entry.abandon(), "abandoned");
      await lives();
    });

    it("does not change what its api answers", async () => {
      assert.equal((await failureOf(app.entry.pair(["bad", "hold"]))).id, "no_such_word");
      assert.equal((await failureOf(app.entry.pair(["a", "bad"]))).id, "no_such_word");
      assert.equal((await failureOf(app.entry.pair(["hold", "a"], { timeoutMs: 100 }))).id, "deadline_exceeded");
      const controller = new AbortController();
      const failed = failureOf(app.entry.pair(["hold", "hold"], { signal: controller.signal }));
      controller.abort();
      assert.equal((await failed).id, "cancelled");
      await lives();
    });

    it("is nothing to speak of where it was cancelled, or looked at late (XU2, XU3)", () => {
      const lines = log.all().filter(({ message = "" }) => /failed, and|nothing awaits/.test(message));
      const ofHooks = /called by Forgetful, failed/;
      assert.deepEqual(
        lines.filter(({ message = "" }) => !ofHooks.test(message)),
        [],
      );
    });

    it("inside a value is refused with its path, and ends nothing when it fails later", async () => {
      const inside = await failureOf(app.entry.promiseInside("bad"));
      assert.equal(inside.id, "output_not_transferable");
      assert.match(inside.message, /^output\.list\[0\]\.value is a Promise \(await it first\)/);
      assert.equal((await failureOf(app.entry.promiseInside("hold"))).id, "output_not_transferable");
      assert.match((await failureOf(app.entry.promiseInInput())).message, /^input\.words\[0\] is a Promise/);
      assert.match((await failureOf(collect(app.entry.promiseInItem()))).message, /^output\.value is a Promise/);
      assert.match((await failureOf(app.entry.promiseInTask())).message, /^output\.value is a Promise/);
      assert.equal((await failureOf(app.entry.promiseAgainstSchema())).id, "invalid_output");
      await lives();
    });

    // In a program that is not an app, such as the one that runs this test, promises of the author belong to the
    // program.
    if (placement !== "inline") {
      it("ends nothing where a function of the author's own waits for it and nobody for that (MB1)", async () => {
        assert.equal(await app.entry.leaveHelper(), "left");
        assert.equal(await app.entry.failHelper(), "left");
        // A later line of the same replica: lines of the helpers would have come before it.
        await app.entry.drop("a call");
        await log.take(/^Model\.run, called by Forgetful\.drop, failed/);
        assert.deepEqual(
          log.all().filter(({ message = "" }) => message.includes("nothing awaits")),
          [],
        );
        await lives();
      });
    }

    it("may be one that others wait for, who are told whose it was", async () => {
      const controller = new AbortController();
      const first = failureOf(app.entry.cached({ word: "kept", detach: false }, { signal: controller.signal }));
      while ((await app.entry.begun()) === 0);
      const others = ["a", "b"].map(() => failureOf(app.entry.cached({ word: "kept", detach: false })));
      // Answered after them, so that they wait by then.
      await app.entry.instance();
      controller.abort();
      assert.equal((await first).id, "cancelled");
      for (const error of await Promise.all(others)) {
        assert.deepEqual(
          [error.id, error.code, error.httpStatus, error.retryable],
          ["shared_call_ended", "unavailable", 503, true],
        );
        assert.match(
          error.message,
          /made by another request, in Forgetful\.cached, .*the caller's signal was aborted.*\{ detach: true \}/,
        );
      }
      await lives();
    });

    it("may be shared where it is detached: it outlives the request that came first", async () => {
      const controller = new AbortController();
      const begun = await app.entry.begun();
      const first = failureOf(app.entry.cached({ word: "shared", detach: true }, { signal: controller.signal }));
      while ((await app.entry.begun()) === begun);
      const others = ["a", "b"].map(() => app.entry.cached({ word: "shared", detach: true }));
      await app.entry.instance();
      controller.abort();
      assert.equal((await first).id, "cancelled");
      await app.entry.release();
      assert.deepEqual(await Promise.all(others), ["shared", "shared"]);
    });
  });
}
