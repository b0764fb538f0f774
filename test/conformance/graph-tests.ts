import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Middle } from "./services/middle.js";
import { Source } from "./services/source.js";
import { Work } from "./services/work.js";
import { collect, failureOf, newName, type Suite } from "./suite.js";

export function testGraph({ app }: Suite): void {
  const [work, middle, source] = [() => app().service(Work), () => app().service(Middle), () => app().service(Source)];

  describe("a diamond", () => {
    it("shares one deployment between all sides", async () => {
      const instance = await work().instance();
      assert.notEqual(instance, "");
      assert.equal(await middle().instance(), instance);
      assert.equal(await source().instance(), instance);
    });

    it("shows each side the state that the others have left", async () => {
      const first = await middle().bump();
      assert.deepEqual(
        [await source().bump(), await work().bump(), await middle().bump()],
        [first + 1, first + 2, first + 3],
      );
    });
  });

  describe("a graph", () => {
    it("starts callees before their callers, whose start hooks may call them", async () => {
      const [own, ...callers] = await work().starts();
      assert.match(String(own), /^Work started as Work#0, at 0, with \d+ threads$/);
      // Middle starts once in each of its callers when it is inline.
      assert.deepEqual(
        [...new Set(callers)],
        ["Middle started, calling as Middle.", "Front started, calling as Front."],
      );
    });
  });

  describe("an unawaited result", () => {
    it("is a valid argument of the next call, at every hop", async () => {
      assert.equal(await work().upper(work().upper("ab")), "AB");
      assert.equal(await app().entry.nested("ab"), "AB");
      assert.equal(await app().entry.fanIn(["a", "b", "c"]), "ABC");
    });

    it("is a valid argument of a stream", async () => {
      assert.deepEqual(await collect(source().numbers(Promise.resolve(3))), [0, 1, 2]);
    });

    it("that fails fails the call it was given to, which never runs", async () => {
      assert.equal(await app().entry.nestedFailure("own"), "no_such_page in Faulty.fail");
      assert.equal(await app().entry.nestedFailure("error"), "unhandled_error in Faulty.fail");
      const name = newName("never");
      const own = new Error("of the caller's own");
      const failing = Promise.reject(own);
      assert.equal(
        await work()
          .upper(failing as Promise<string>)
          .catch((error: unknown) => error),
        own,
      );
      assert.equal(await work().count(`upper ${name}`), 0);
      const items = source().numbers(failing as Promise<number>);
      assert.equal(await collect(items).catch((error: unknown) => error), own);
    });

    it("that is of the wrong kind is refused as any other value", async () => {
      const error = await failureOf(work().upper(source().produced("nothing") as Promise<any>));
      assert.deepEqual([error.id, error.service, error.api], ["invalid_input", "Work", "upper"]);
    });
  });
}
