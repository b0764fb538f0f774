import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Tensor } from "ekiben";
import { Keeper } from "./services/keeper.js";
import { failureOf, newName, type Suite } from "./suite.js";

export function testCaches({ app, logged }: Suite): void {
  const keeper = () => app().service(Keeper);
  const begun = (name: string) => keeper().count(`${name} begun`);
  /** Resolves when all earlier calls have arrived, because calls keep their order. */
  const arrived = () => begun("");

  describe("a cache", () => {
    it("answers an equal call without running the api, and any other by running it", async () => {
      const name = newName("say");
      for (let i = 0; i < 3; i++) assert.equal(await keeper().say(name), name);
      assert.equal(await keeper().say(`${name} else`), `${name} else`);
      assert.deepEqual([await begun(name), await begun(`${name} else`)], [1, 1]);
    });

    it("joins equal calls in flight", async () => {
      const name = newName("joined");
      const calls = Array.from({ length: 5 }, () => keeper().hold(name));
      await arrived();
      await keeper().note(`${name} released`);
      assert.deepEqual(await Promise.all(calls), new Array(5).fill(name));
      assert.equal(await begun(name), 1);
    });

    it("goes on when the first caller leaves, and ends when the last one does", async () => {
      const [name, lost] = [newName("left"), newName("lost")];
      const [controller, other] = [new AbortController(), new AbortController()];
      const first = failureOf(keeper().hold(name, { signal: controller.signal }));
      const kept = keeper().hold(name);
      await arrived();
      controller.abort();
      assert.equal((await first).code, "cancelled");
      await arrived();
      assert.equal(await keeper().count(`${name} cancelled`), 0);
      await keeper().note(`${name} released`);
      assert.equal(await kept, name);

      const last = [1, 2].map(() => failureOf(keeper().hold(lost, { signal: other.signal })));
      await arrived();
      other.abort();
      for (const call of last) assert.equal((await call).code, "cancelled");
      await keeper().seen(`${lost} cancelled`);
      await keeper().note(`${lost} released`);
      assert.equal(await keeper().hold(lost), lost);
      assert.equal(await begun(lost), 2);
    });

    it("leaves each call its own deadline", async () => {
      const name = newName("late");
      const patient = keeper().hold(name);
      const hurried = await failureOf(keeper().hold(name, { timeoutMs: 100 }));
      assert.equal(hurried.code, "deadline_exceeded");
      await keeper().note(`${name} released`);
      assert.equal(await patient, name);
      assert.deepEqual([await begun(name), await keeper().count(`${name} cancelled`)], [1, 0]);
    });

    it("keeps no failure and no wrong answer (WA3)", async () => {
      const name = newName("fail");
      assert.equal((await failureOf(keeper().fail(name))).id, "unhandled_error");
      await logged(`Keeper.fail threw: out of ${name}`);
      assert.equal(await keeper().fail(name), name);
      const wrong = newName("wrong");
      assert.equal((await failureOf(keeper().wrong(wrong))).id, "invalid_output");
      assert.equal(await keeper().wrong(wrong), wrong);
    });

    it("compares inputs as they were checked, whatever the order of their fields", async () => {
      const name = newName("list");
      const answers = [
        await keeper().list({ name, by: "2" }),
        await keeper().list({ by: "2.0", name }),
        await keeper().list({ name, by: "3" }),
      ];
      assert.deepEqual(
        answers.map(({ given }) => given.by),
        [2, 2, 3],
      );
      assert.equal(await begun(name), 2);
    });

    it("gives each call an answer of its own", async () => {
      const name = newName("own");
      const first = await keeper().list({ name, by: "1" });
      first.list.push(3);
      assert.deepEqual((await keeper().list({ name, by: "1" })).list, [1, 2]);
    });

    it("refuses invalid inputs before it looks for an answer", async () => {
      assert.equal((await failureOf(keeper().say(7 as never))).id, "invalid_input");
    });

    it("compares tensors and files by what they hold", async () => {
      const scale = async (values: number[], by: number) => {
        const tensor = new Tensor("float32", [values.length], Float32Array.from(values));
        return [...(await keeper().scale({ values: tensor, by })).data];
      };
      assert.deepEqual(await scale([1, 2], 5), [5, 10]);
      assert.deepEqual(await scale([1, 2], 5), [5, 10]);
      assert.deepEqual(await scale([1, 3], 5), [5, 15]);
      assert.deepEqual([await begun("scale 1 2 by 5"), await begun("scale 1 3 by 5")], [1, 1]);
      const copy = async (text: string, name: string) => {
        const copied = await keeper().copy(new File([text], name, { type: "text/plain" }));
        return `${copied.name}: ${await copied.text()}`;
      };
      const text = newName("file");
      assert.deepEqual([await copy(text, "a"), await copy(text, "a")], [`a: ${text}`, `a: ${text}`]);
      assert.equal(await copy(text, "b"), `b: ${text}`);
      assert.equal(await begun(`copy ${text}`), 2);
    });

    it("answers at once while the lane is full: a kept answer needs no slot (WA2)", async () => {
      const [name, busy, queued] = [newName("free"), `stay ${newName("busy")}`, `stay ${newName("queued")}`];
      await keeper().say(name);
      const running = keeper().say(busy);
      await keeper().seen(`${busy} begun`);
      const waiting = keeper().say(queued);
      await arrived();
      assert.equal((await failureOf(keeper().say(newName("more")))).id, "lane_full");
      assert.equal(await keeper().say(name), name);
      for (const each of [busy, queued]) await keeper().note(`${each} released`);
      assert.deepEqual(await Promise.all([running, waiting]), [busy, queued]);
    });

    it("keeps the answers of whole calls of an api that batches", async () => {
      const row = newName("row");
      const call = () => keeper().rows([row, `${row} too`]);
      const answers = [...(await Promise.all([call(), call()])), await call()];
      assert.deepEqual(answers, new Array(3).fill([row.toUpperCase(), `${row} too`.toUpperCase()]));
      assert.equal(await begun(row), 1);
      await keeper().rows([row]);
      assert.equal(await begun(row), 2);
    });
  });
}
