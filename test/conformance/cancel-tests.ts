import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Source } from "./services/source.js";
import { Work } from "./services/work.js";
import { failureOf, newName, type Suite } from "./suite.js";

export function testCancels({ app }: Suite): void {
  const work = () => app().service(Work);

  describe("cancellation", () => {
    const ways: Readonly<
      Record<string, (api: "hold" | "stubborn", name: string, signal: AbortSignal) => Promise<any>>
    > = {
      "over one hop": (api, name, signal) => work()[api](name, { signal }),
      "over three hops": (api, name, signal) => app().entry.relay({ to: "work", api, input: name }, { signal }),
    };

    for (const [way, call] of Object.entries(ways)) {
      it(`by the caller's signal reaches the callee ${way}`, async () => {
        const name = newName("given up");
        const controller = new AbortController();
        const failed = failureOf(call("hold", name, controller.signal));
        await work().seen(`${name} begun`);
        controller.abort();
        const { code, id, httpStatus } = await failed;
        assert.deepEqual([code, id, httpStatus], ["cancelled", "cancelled", 499]);
        await work().seen(`${name} cancelled by cancelled`);
        await work().seen(`${name} ended`);
      });

      it(`answers the caller at once ${way}, though the callee goes on`, async () => {
        const name = newName("stubborn");
        const controller = new AbortController();
        const failed = failureOf(call("stubborn", name, controller.signal));
        await work().seen(`${name} begun`);
        controller.abort();
        assert.equal((await failed).code, "cancelled");
        assert.equal(await work().count(`${name} ended`), 0);
        await work().note(`${name} released`);
        await work().seen(`${name} ended`);
      });

      it(`by a signal that is aborted already keeps a call from running ${way}`, async () => {
        const name = newName("never");
        assert.equal((await failureOf(call("hold", name, AbortSignal.abort()))).code, "cancelled");
        assert.equal(await work().count(`${name} begun`), 0);
      });

      it(`shows the callee a ServingError as the reason ${way}`, async () => {
        const name = newName("reason");
        const controller = new AbortController();
        const reason = { to: "work", api: "reason", input: name } as const;
        const { signal } = controller;
        const failed = failureOf(
          way === "over one hop" ? work().reason(name, { signal }) : app().entry.relay(reason, { signal }),
        );
        await work().seen(`${name} begun`);
        controller.abort(new Error("of the caller's own"));
        assert.equal((await failed).code, "cancelled");
        await work().seen(`${name} saw ServingError cancelled`);
      });
    }

    it("of one call leaves others of the same caller alone", async () => {
      const [name, other] = [newName("one"), newName("other")];
      const controller = new AbortController();
      const failed = failureOf(work().hold(name, { signal: controller.signal }));
      const held = work().hold(other);
      await work().seen(`${name} begun`);
      controller.abort();
      await failed;
      await work().note(`${other} released`);
      assert.equal(await held, other);
      const own = await app().entry.cancelOne(newName("own"));
      assert.equal(own, "cancelled, and the caller's own signal is not aborted");
    });

    it("after the answer changes nothing", async () => {
      const controller = new AbortController();
      assert.equal(await work().upper("a", { signal: controller.signal }), "A");
      controller.abort();
      assert.equal(await work().upper("b"), "B");
    });

    it("ends what an api that has returned left behind", async () => {
      const name = newName("left");
      assert.equal(await app().entry.leave(name), "left");
      await work().seen(`${name} cancelled by cancelled`);
      await work().seen(`${name} ended`);
    });

    it("ends what an api that has thrown left behind", async () => {
      const name = newName("left by error");
      assert.equal((await failureOf(app().entry.leaveByError(name))).code, "aborted");
      await work().seen(`${name} cancelled by cancelled`);
    });

    it("ends a stream that an api left half read", async () => {
      const name = newName("left stream");
      assert.equal(await app().entry.leaveStream(name), "left");
      await app().service(Source).seen(`${name} cancelled`);
      await app().service(Source).seen(`${name} finally`);
    });

    it("spares a detached call, which outlives its caller", async () => {
      const name = newName("detached");
      assert.equal(await app().entry.leaveDetached(name), "left");
      assert.equal(await work().upper("after the caller has ended"), "AFTER THE CALLER HAS ENDED");
      assert.equal(await work().count(`${name} cancelled`), 0);
      await work().note(`${name} released`);
      await work().seen(`${name} ended`);
    });

    it("by a deadline spares a detached call, which has its own", async () => {
      const { own, detached } = await app().entry.detachedCall(undefined, { timeoutMs: 30_000 });
      assert.ok(own.remainingMs <= 30_000, String(own.remainingMs));
      assert.ok(detached.deadline > own.deadline, `${detached.deadline} after ${own.deadline}`);
      assert.deepEqual([detached.requestId, detached.traceId], [own.requestId, own.traceId]);
      assert.deepEqual(detached.caller, { service: "Front", api: "detachedCall" });
    });
  });
}
