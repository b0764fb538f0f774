import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Tensor } from "ekiben";
import { Chores } from "./services/chores.js";
import { Work } from "./services/work.js";
import { failureOf, newName, readFailure, type Suite, withinLimits } from "./suite.js";

export function testTasks({ app }: Suite): void {
  const chores = () => app().service(Chores);
  const work = () => app().service(Work);
  const release = (name: string) => work().note(`${name} released`);

  describe("tasks", () => {
    it("answer whoever calls them, from outside and from another service", async () => {
      assert.equal(await chores().upper("direct"), "DIRECT");
      assert.equal(await app().entry.chore("over a hop"), "OVER A HOP");
      assert.equal(await chores().none(), 7);
    });

    it("are handed in, have a status, and give their result to whoever asks, more than once", async () => {
      const name = newName("submitted");
      const { id } = await chores().upper.submit(Promise.resolve(name));
      assert.match(id, /^[0-9a-f]{32}$/);
      assert.equal(await chores().upper.result(id), name.toUpperCase());
      assert.equal(await chores().upper.result(id), name.toUpperCase());
      const { createdAt, startedAt, endedAt, ...state } = await chores().upper.status(id);
      assert.deepEqual(state, { id, status: "completed", attempt: 1 });
      const times = [createdAt, startedAt, endedAt].map(Number);
      assert.deepEqual(
        times,
        times.toSorted((a, b) => a - b),
      );
      assert.equal(await work().count(`${name} ran`), 1);
    });

    it("keep every kind of value: tensors, files, dates, maps", async () => {
      const values = new Tensor("float32", [3], new Float32Array([1, 2, 3]));
      const { id } = await chores().scale.submit({ values, by: "2" });
      assert.deepEqual([...(await chores().scale.result(id)).data], [2, 4, 6]);
      const value = { at: new Date(5), map: new Map([["a", new Set([1n])]]), bytes: new Uint8Array([1, 2]) };
      assert.deepEqual(await chores().anything(value), value);
      const copied = await chores().copy(new File(["hello"], "a.txt", { type: "text/plain" }));
      assert.deepEqual([(copied as File).name, await copied.text()], ["a.txt", "hello"]);
    });

    it("are handed in once for one key, however often and by whichever way, and refuse it for another input", async () => {
      const name = newName("keyed");
      const key = `key of ${name}`;
      const all = await Promise.all(Array.from({ length: 5 }, () => chores().upper.submit(name, { key })));
      assert.deepEqual(new Set(all.map(({ id }) => id)).size, 1);
      assert.equal(await chores().upper(name, { key }), name.toUpperCase());
      assert.equal((await chores().upper.submit(Promise.resolve(name), { key })).id, all[0]?.id);
      assert.equal(await work().count(`${name} ran`), 1);
      const error = await failureOf(chores().upper.submit("other", { key }));
      assert.deepEqual(
        [error.id, error.httpStatus, error.service, error.api],
        ["task_key_reused", 409, "Chores", "upper"],
      );
      assert.deepEqual(error.details, { key, taskId: all[0]?.id });
    });

    it("take the same fields in another order, and the same file made anew, for the same input", async () => {
      const key = newName("same");
      const file = (time: number, text = "hello") =>
        new File([text], "a.txt", { type: "text/plain", lastModified: time });
      const first = await chores().anything.submit({ a: 1, b: file(1) }, { key });
      assert.deepEqual(await chores().anything.submit({ b: file(2), a: 1 }, { key }), first);
      const others = [
        { a: 1, b: file(1, "other") },
        { a: 2, b: file(1) },
        { a: 1, b: new Blob(["hello"]) },
      ];
      for (const other of others) {
        assert.equal((await failureOf(chores().anything.submit(other, { key }))).id, "task_key_reused");
      }
    });

    it("refuse a key that no header could carry", async () => {
      for (const key of ["", " a", "a ", "a\nb", "ä", "x".repeat(256), 5 as never]) {
        assert.equal((await failureOf(chores().upper.submit("x", { key }))).id, "invalid_task_key");
      }
    });

    it("run with the input as it was when they were handed in", async () => {
      const value = { list: [1, 2] };
      const submitted = chores().anything.submit(value);
      value.list.push(3);
      assert.deepEqual(await chores().anything.result((await submitted).id), { list: [1, 2] });
    });

    it("refuse an input that does not fit, name the field, and keep nothing of it", async () => {
      const bad = { values: new Tensor("float32", [1], new Float32Array(1)), by: 5 } as never;
      for (const call of [chores().scale.submit, chores().scale]) {
        const error = await failureOf(call(bad) as Promise<unknown>);
        assert.deepEqual([error.id, error.service, error.api], ["invalid_input", "Chores", "scale"]);
        assert.match(error.message, /^by: /);
      }
      const odd = await failureOf(chores().anything.submit({ run: () => {} }));
      assert.equal(odd.id, "not_transferable");
    });

    it("whose output does not fit their contract fail", async () => {
      const { id } = await chores().wrong.submit();
      assert.equal((await failureOf(chores().wrong.result(id))).id, "invalid_output");
      assert.equal((await chores().wrong.status(id)).status, "failed");
    });

    it("fail with what they threw, for whoever called them and for whoever asks later", async () => {
      const kind = newName("thing");
      const direct = await failureOf(chores().refuse(kind));
      const { id } = await chores().refuse.submit(kind);
      const later = await failureOf(chores().refuse.result(id));
      assert.deepEqual(readFailure(later), readFailure(direct));
      assert.deepEqual([later.id, later.details, later.api], ["no_such_thing", { kind }, "refuse"]);
      const { failure, status } = await chores().refuse.status(id);
      assert.deepEqual([status, failure?.id, failure?.message], ["failed", "no_such_thing", `no ${kind}`]);
    });

    it("that failed are begun again when they are idempotent, up to so many attempts", async () => {
      const [mended, hopeless, once] = [newName("mended"), newName("hopeless"), newName("once")];
      const { id } = await chores().flaky.submit([mended, 2]);
      assert.equal(await chores().flaky.result(id), mended);
      assert.equal((await chores().flaky.status(id)).attempt, 3);
      assert.equal((await failureOf(chores().flaky([hopeless, 99]))).message, "not yet");
      assert.equal(await work().count(`${hopeless} begun`), 3);
      assert.equal((await failureOf(chores().fragile([once, 99]))).message, "not yet");
      assert.equal(await work().count(`${once} begun`), 1);
    });

    it("are not begun again for a failure that would come again, and are for one that nobody foresaw", async () => {
      const [missing, unhandled] = [newName("missing"), newName("unhandled")];
      await failureOf(chores().refuse(missing));
      assert.equal(await work().count(`${missing} refused`), 1);
      const error = await failureOf(chores().refuse(unhandled));
      assert.deepEqual([error.id, error.message], ["unhandled_error", `out of ${unhandled}`]);
      assert.match(String(error.incident), /^[0-9a-f]{12}$/);
      assert.equal(await work().count(`${unhandled} refused`), 3);
    });

    it("that are cancelled hear of it by their signal", async () => {
      const name = newName("cancelled");
      const { id } = await chores().hold.submit(name);
      const result = failureOf(chores().hold.result(id));
      await work().seen(`${name} begun`);
      assert.equal((await chores().hold.status(id)).status, "in_progress");
      await chores().hold.cancel(id);
      const error = await result;
      assert.deepEqual([error.id, error.code, error.httpStatus], ["task_canceled", "cancelled", 409]);
      await work().seen(`${name} aborted by task_canceled`);
      const { status } = await chores().hold.cancel(id);
      assert.equal(status, "canceled");
    });

    it("that are cancelled before they run never do", async () => {
      const running = [newName("running"), newName("running")];
      const held = await Promise.all(running.map((name) => chores().narrow.submit(name)));
      for (const name of running) await work().seen(`${name} begun`);
      const name = newName("waiting");
      const { id } = await chores().narrow.submit(name);
      assert.equal((await chores().narrow.status(id)).status, "pending");
      assert.equal((await chores().narrow.cancel(id)).status, "canceled");
      for (const own of running) await release(own);
      for (const [i, { id: own }] of held.entries()) assert.equal(await chores().narrow.result(own), running[i]);
      assert.equal((await failureOf(chores().narrow.result(id))).id, "task_canceled");
      assert.equal(await work().count(`${name} begun`), 0);
    });

    it("that have ended can be retried, under a new id and with the same input; others can't", async () => {
      const name = newName("retried");
      const { id } = await chores().upper.submit(name);
      await chores().upper.result(id);
      const again = await chores().upper.retry(id);
      assert.notEqual(again.id, id);
      assert.equal(await chores().upper.result(again.id), name.toUpperCase());
      assert.equal(await work().count(`${name} ran`), 2);
      const held = newName("held");
      const unfinished = await chores().hold.submit(held);
      await work().seen(`${held} begun`);
      const error = await failureOf(chores().hold.retry(unfinished.id));
      assert.deepEqual([error.id, error.httpStatus], ["task_not_finished", 400]);
      await release(held);
      await chores().hold.result(unfinished.id);
    });

    it("that are unknown, or another api's, are not found", async () => {
      const { id } = await chores().upper.submit("mine");
      for (const unknown of ["0".repeat(32), "nothing", "", id]) {
        const { status, result, cancel, retry } = chores().lower;
        for (const ask of [status, result, cancel, retry]) {
          const error = await failureOf(ask(unknown));
          assert.deepEqual([error.id, error.httpStatus, error.api], ["unknown_task", 404, "lower"]);
        }
      }
      assert.equal(await chores().upper.result(id), "MINE");
    });

    it("go on when whoever called them goes away, or waits no longer (RW2)", async () => {
      const [name, other] = [newName("left"), newName("late")];
      const controller = new AbortController();
      const left = failureOf(chores().hold(name, { signal: controller.signal }));
      await work().seen(`${name} begun`);
      controller.abort();
      assert.equal((await left).code, "cancelled");
      const { id } = await chores().hold.submit(other);
      await work().seen(`${other} begun`);
      assert.equal((await failureOf(chores().hold.result(id, { timeoutMs: 20 }))).code, "deadline_exceeded");
      await release(name);
      await release(other);
      await work().seen(`${name} ended`);
      assert.equal(await chores().hold.result(id), other);
    });

    it("have a time of their own for each attempt", async () => {
      await withinLimits(async () => {
        const name = newName("brief");
        const error = await failureOf(chores().brief(name));
        assert.deepEqual([error.id, error.api], ["deadline_exceeded", "brief"]);
        assert.equal(error.details["setBy"], "timeoutMs of Chores.brief, from api() of Chores.brief");
        return (await work().count(`${name} begun`)) === 1;
      });
    });

    it("see the request that handed them in", async () => {
      const [front, own] = await app().entry.choreCalls();
      assert.deepEqual(own.caller, { service: "Front", api: "choreCalls" });
      for (const field of ["requestId", "traceId", "headers"]) assert.deepEqual(own[field], front[field], field);
    });

    it("tell their progress (LK2)", async () => {
      const name = newName("progress");
      const { id } = await chores().progress.submit(name);
      await work().seen(`${name} begun`);
      let state = await chores().progress.status(id);
      while (state.progress === undefined) {
        await new Promise((resolve) => setImmediate(resolve));
        state = await chores().progress.status(id);
      }
      assert.deepEqual([state.status, state.progress, state.note], ["in_progress", 0.25, "a quarter"]);
      await work().note(`${name} go on`);
      await chores().progress.result(id);
      assert.equal((await chores().progress.status(id)).progress, 0.75);
    });

    it("are watched: each state once, the present one first, the end last, over the loss of the replica", async () => {
      const name = newName("watched");
      const { id } = await chores().lasting.submit(name);
      await work().seen(`${name} begun`);
      const seen: string[] = [];
      for await (const state of chores().lasting.watch(id)) {
        assert.equal(state.id, id);
        seen.push(JSON.stringify(state));
        if (seen.length > 1) continue;
        assert.equal(state.status, "in_progress");
        // One of them is the replica that is watched.
        for (const index of [0, 1]) await app().kill(Chores, index);
        await release(name);
      }
      const ended = await chores().lasting.status(id);
      assert.equal(ended.status, "completed");
      assert.equal(seen.at(-1), JSON.stringify(ended));
      assert.equal(new Set(seen).size, seen.length);
    });

    it("may not report nonsense, and an api that is no task may report anything sensible", async () => {
      for (const input of [[2], [-0.1], ["half"], [0.5, 7], [0.5, "x".repeat(1001)]]) {
        assert.equal(await chores().badProgress(input), "invalid_progress");
      }
      assert.equal(await chores().badProgress([1, "done"]), "taken");
      assert.equal(await chores().noTask(0.5), "taken");
      assert.equal((await failureOf(chores().noTask(5))).id, "invalid_progress");
    });

    it("handed in by background calls start after those that were not", async () => {
      const running = [newName("running"), newName("running")];
      const names = [...running, newName("can wait"), newName("can't wait")];
      const [slow, quick] = names.slice(2) as [string, string];
      const held = await Promise.all(running.map((name) => chores().narrow.submit(name)));
      for (const name of running) await work().seen(`${name} begun`);
      held.push(await chores().narrow.submit(slow, { priority: "background" }));
      held.push(await chores().narrow.submit(quick));
      await release(running[0] as string);
      await work().seen(`${quick} begun`);
      assert.equal(await work().count(`${slow} begun`), 0);
      for (const name of names.slice(1)) await release(name);
      for (const [i, { id }] of held.entries()) assert.equal(await chores().narrow.result(id), names[i]);
    });

    it("run no more at once than maxConcurrent in each replica", async () => {
      const names = Array.from({ length: 6 }, () => newName("one of six"));
      const ids: string[] = [];
      for (const name of names) ids.push((await chores().narrow.submit(name)).id);
      for (const name of names.slice(0, 2)) await work().seen(`${name} begun`);
      const states = await Promise.all(ids.map((id) => chores().narrow.status(id)));
      assert.deepEqual(
        states.map(({ status }) => status),
        ["in_progress", "in_progress", "pending", "pending", "pending", "pending"],
      );
      for (const name of names) await release(name);
      for (const [i, id] of ids.entries()) assert.equal(await chores().narrow.result(id), names[i]);
    });
  });
}
