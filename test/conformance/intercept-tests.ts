import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Faulty } from "./services/faulty.js";
import { Guarded } from "./services/guarded.js";
import { Work } from "./services/work.js";
import { collect, failureOf, newName, type Suite } from "./suite.js";

export function testInterceptors({ app, logged, newFile, placement }: Suite): void {
  const guarded = () => app().service(Guarded);
  const work = () => app().service(Work);

  describe("interceptors", () => {
    it("run in order: those of the edge, of Service(), of the class, and then the api", async () => {
      assert.equal(await guarded().say("x"), "outer(inner(x))");
      assert.equal(await guarded().sayLater("x"), "outer(inner(x))");
      assert.equal(await app().entry.guard("x"), "first(second(outer(inner(x))))");
    });

    it("may answer instead of the api, change its input, and run it again", async () => {
      const ran = (text: string) => guarded().count(`${text} ran`);
      assert.equal(await guarded().say("answer"), "outer(inner)");
      assert.equal(await ran("answer"), 0);
      assert.equal(await guarded().say("change"), "outer(changed)");
      assert.equal(await guarded().say("twice"), "outer(inner(twice twice))");
      assert.equal(await ran("twice"), 2);
    });

    it("run after the check of the input, and before that of the output", async () => {
      const invalid = await failureOf(guarded().say(7 as never));
      assert.deepEqual([invalid.id, invalid.api], ["invalid_input", "say"]);
      const wrong = await failureOf(guarded().say("wrong"));
      assert.deepEqual([wrong.id, wrong.api], ["invalid_output", "say"]);
    });

    it("fail like the api", async () => {
      const thrown = await failureOf(guarded().say("throw"));
      assert.deepEqual([thrown.id, thrown.message, thrown.api], ["unhandled_error", "out of inner", "say"]);
      await logged("Guarded.say threw: out of inner");
      const refused = await failureOf(guarded().say("refuse"));
      assert.deepEqual(
        [refused.code, refused.id, refused.service, refused.api],
        ["permission_denied", "not_ann", "Guarded", "say"],
      );
      const failed = await failureOf(guarded().say("fail"));
      assert.deepEqual([failed.id, failed.message], ["unhandled_error", "out of fail"]);
      await logged("Guarded.say threw: out of fail");
    });

    it("may leave a failure of the api unread", async () => {
      assert.equal(await guarded().say("fail-unread"), "outer(inner)");
      assert.equal(await guarded().say("fail-forgotten"), "outer(inner)");
      assert.equal(await guarded().say("x"), "outer(inner(x))");
    });

    it("run in the context of the call", async () => {
      const seen = /^outer\((.*)\)$/.exec(await guarded().say("call"))?.[1] ?? "";
      assert.deepEqual(JSON.parse(seen).caller, { service: "local", api: "" });
    });

    it("run around each call of an api that batches, and not around the batch", async () => {
      await guarded().batches();
      const rows = [["a", "b"], ["c"]];
      const answers = await Promise.all(rows.map((each) => guarded().shout(each)));
      assert.deepEqual(answers, [["<A>", "<B>"], ["<C>"]]);
      assert.equal((await guarded().batches()).join(" ").split(" ").sort().join(" "), "a b c");
      assert.deepEqual(
        [await work().count("shout a,b intercepted"), await work().count("shout c intercepted")],
        [1, 1],
      );
      assert.equal((await failureOf(guarded().shout(["throw"]))).message, "out of voice");
      assert.equal((await failureOf(guarded().shout([7] as never))).id, "invalid_input");
      assert.match((await failureOf(guarded().odd(["x"]))).message, /^output\[0\] is a function/);
    });

    it("run around streams, whose items they may change", async () => {
      assert.deepEqual(await collect(guarded().words("one two")), ["outer(one)", "outer(two)", "outer(more)"]);
      assert.deepEqual(await collect(app().entry.guardWords("one")), ["edge(outer(one))", "edge(outer(more))"]);
      const first = await guarded().words("one two three")[Symbol.asyncIterator]();
      assert.deepEqual(await first.next(), { done: false, value: "outer(one)" });
      assert.deepEqual(await first.return?.(), { done: true, value: undefined });
    });

    it("run around each attempt of a task, and around calls that submit one", async () => {
      const text = newName("guarded chore");
      assert.equal(await guarded().chore(text), `outer(inner(${text} done))`);
      assert.equal(await work().count(`${text} intercepted`), 1);
      const submitted = newName("guarded submission");
      assert.equal(await app().entry.guardChore(submitted), `outer(inner(${submitted} done))`);
      assert.equal(await work().count(`chore:submit submit ${submitted} at the edge`), 1);
      assert.equal(await work().count(`${submitted} intercepted`), 1);
    });

    // A call on an inline replica that is killed is not given to another one.
    const fate = placement === "inline" ? "fails" : "is sent again";
    it(`of an edge run once for a call that ${fate}, since its replica was lost`, async () => {
      const file = newFile();
      const answer = app().entry.guardAttempt({ file, value: "x" });
      const outcome = placement === "inline" ? failureOf(answer).then(({ id }) => id) : answer;
      await app().service(Faulty).seen(`${file} begun`);
      await app().kill(Faulty);
      assert.match(await outcome, placement === "inline" ? /^replica_lost$/ : /^second life: /);
      assert.equal(await work().count(`attempt with ${file}`), 1);
    });

    it("of an edge don't see later changes of the caller's own input", async () => {
      assert.deepEqual(await app().entry.guardMutated(), ["<A>", "<B>"]);
    });

    it("see each call of an api with a cache, also those with a kept answer (WA1)", async () => {
      const text = newName("guarded kept");
      const calls = [guarded().kept(text), guarded().kept(text)];
      await guarded().seen(`${text} begun`);
      await guarded().note(`${text} released`);
      assert.deepEqual(await Promise.all(calls), new Array(2).fill(`outer(${text} for unary)`));
      assert.equal(await guarded().kept(text), `outer(${text} for unary)`);
      assert.deepEqual([await work().count(`${text} intercepted`), await guarded().count(`${text} begun`)], [3, 1]);
    });
  });
}
