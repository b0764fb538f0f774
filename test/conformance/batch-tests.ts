import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Tensor } from "ekiben";
import { Batched } from "./services/batched.js";
import { failureOf, newName, type Suite } from "./suite.js";

export function testBatches({ app, logged }: Suite): void {
  const batched = () => app().service(Batched);

  /** Starts a call whose batch runs until it is released; calls made meanwhile gather. */
  const occupy = async (api: "upper" | "narrow" | "again" = "upper") => {
    const name = newName("hold");
    const answer = batched()[api]([name]);
    await batched().seen(`${name} begun`);
    return {
      free: async () => {
        await batched().note(`${name} released`);
        assert.deepEqual(await answer, [name.toUpperCase()]);
      },
    };
  };
  /** Resolves when all earlier calls have arrived, because calls keep their order. */
  const arrived = () => batched().shapes();
  const batchesWith = async (name: string) => (await batched().batches(name)).map((batch) => batch.split(" | "));

  describe("batches", () => {
    it("join the rows of several calls, and give each its own", async () => {
      const running = await occupy();
      const tag = newName("joined");
      const calls = [1, 2, 3].map((i) => batched().upper([`${i} ${tag}`]));
      await arrived();
      await running.free();
      assert.deepEqual(
        await Promise.all(calls),
        [1, 2, 3].map((i) => [`${i} ${tag}`.toUpperCase()]),
      );
      assert.deepEqual(await batchesWith(tag), [[1, 2, 3].map((i) => `${i} ${tag}`)]);
    });

    it("have no more than maxRows rows: a larger call is cut, and answered whole and in order", async () => {
      const tag = newName("cut");
      const rows = Array.from({ length: 11 }, (_, i) => `${i} ${tag}`);
      assert.deepEqual(
        await batched().upper(rows),
        rows.map((row) => row.toUpperCase()),
      );
      assert.deepEqual(await batchesWith(tag), [rows.slice(0, 4), rows.slice(4, 8), rows.slice(8)]);
      assert.deepEqual(await batched().upper([]), []);
    });

    it("join tensors of one shape, and keep others apart", async () => {
      await batched().shapes();
      const call = (width: number, value: number) =>
        batched().sum({
          values: new Tensor("float32", [1, width], new Float32Array(width).fill(value)),
          names: [`${width} of ${value}`],
        });
      const answers = await Promise.all([call(2, 1), call(3, 1), call(2, 5), call(3, 7)]);
      assert.deepEqual(
        answers.map(({ sums, names }) => [...sums.data, ...names]),
        [
          [2, "2 of 1"],
          [3, "3 of 1"],
          [10, "2 of 5"],
          [21, "3 of 7"],
        ],
      );
      const shapes = (await batched().shapes()).map((shape) => shape.split("x").map(Number));
      for (const width of [2, 3]) {
        const counts = shapes.filter(([, own]) => own === width).map(([rows]) => rows);
        assert.equal(
          counts.reduce((sum = 0, rows = 0) => sum + rows, 0),
          2,
        );
      }
      const many = new Tensor(
        "float32",
        [20, 2],
        Float32Array.from({ length: 40 }, (_, i) => i),
      );
      const { sums } = await batched().sum({ values: many, names: Array(20).fill("row") });
      assert.deepEqual(
        [...sums.data],
        Array.from({ length: 20 }, (_, i) => 4 * i + 1),
      );
      assert.deepEqual(await batched().shapes(), ["8x2", "8x2", "4x2"]);
    });

    it("refuse an input that is wrong by itself, and no other", async () => {
      const running = await occupy();
      const good = batched().upper(["good"]);
      const error = await failureOf(batched().upper(["fine", 7] as never));
      assert.deepEqual([error.id, error.service, error.api], ["invalid_input", "Batched", "upper"]);
      await running.free();
      assert.deepEqual(await good, ["GOOD"]);
    });

    it("fail one call by the failure in its row's place, with all its fields", async () => {
      const running = await occupy();
      const good = batched().upper(["good"]);
      const bad = failureOf(batched().upper(["bad row"]));
      const second = failureOf(batched().upper(["fine", "bad second"]));
      await arrived();
      await running.free();
      assert.deepEqual(await good, ["GOOD"]);
      const { code, id, message, details, service, api } = await bad;
      assert.deepEqual(
        { code, id, message, details, service, api },
        {
          ...{ code: "invalid_argument", id: "bad_row", message: "no bad row", details: { text: "bad row" } },
          ...{ service: "Batched", api: "upper" },
        },
      );
      assert.deepEqual((await second).details, { text: "bad second", row: 1 });
    });

    it("fail every call when they throw, under one incident that is logged once", async () => {
      const running = await occupy();
      const tag = newName("throw");
      const calls = [tag, "beside it"].map((row) => failureOf(batched().upper([row])));
      await arrived();
      await running.free();
      const [first, second] = await Promise.all(calls);
      assert.deepEqual([first?.id, first?.message], ["unhandled_error", `can't say ${tag}`]);
      assert.equal(second?.incident, first?.incident);
      const { fields } = await logged(`Batched.upper threw: can't say ${tag}`);
      assert.equal(fields["incident"], first?.incident);
    });

    it("fail only what throws by itself, where the api may run twice for one call", async () => {
      const running = await occupy("again");
      const tag = newName("throw");
      const rows = ["a", "b", tag, "c"];
      const calls = rows.map((row) => batched().again([row]));
      await arrived();
      await running.free();
      const settled = await Promise.allSettled(calls);
      assert.deepEqual(
        settled.map((each) => (each.status === "fulfilled" ? each.value[0] : each.reason.message)),
        ["A", "B", `can't say ${tag}`, "C"],
      );
    });

    it("fail when they come back with another number of rows, with the numbers", async () => {
      const error = await failureOf(batched().lose(["a", "b", "c"]));
      assert.deepEqual([error.code, error.id, error.httpStatus], ["internal", "batch_size_changed", 500]);
      assert.deepEqual(error.details, { rowsIn: 3, rowsOut: 2, field: "" });
    });

    it("are left by calls that are cancelled, or whose time is over", async () => {
      const running = await occupy();
      const tag = newName("left");
      const controller = new AbortController();
      const cancelled = failureOf(batched().upper([`cancelled ${tag}`], { signal: controller.signal }));
      const late = failureOf(batched().upper([`late ${tag}`], { timeoutMs: 20 }));
      const stays = batched().upper([`stays ${tag}`]);
      await arrived();
      controller.abort();
      assert.equal((await cancelled).id, "cancelled");
      assert.equal((await late).id, "deadline_exceeded");
      await arrived();
      await running.free();
      await stays;
      assert.deepEqual(await batchesWith(tag), [[`stays ${tag}`]]);
    });

    it("are cancelled when nobody waits for them any more", async () => {
      const names = [newName("hold"), newName("hold")];
      const controller = new AbortController();
      const running = await occupy();
      const calls = names.map((name) => failureOf(batched().upper([name], { signal: controller.signal })));
      await arrived();
      await running.free();
      await batched().seen(`${names[0]} begun`);
      controller.abort();
      await batched().seen(`${names[0]} cancelled`);
      for (const call of calls) assert.equal((await call).id, "cancelled");
    });

    it("refuse calls at once when the queue is full", async () => {
      const running = await occupy("narrow");
      const queued = batched().narrow(["queued"]);
      const { code, id, httpStatus, details } = await failureOf(batched().narrow(["refused"]));
      assert.deepEqual([code, id, httpStatus], ["resource_exhausted", "lane_full", 429]);
      assert.deepEqual([details["running"], details["queued"], details["maxQueued"]], [1, 1, 1]);
      await running.free();
      assert.deepEqual(await queued, ["QUEUED"]);
    });

    it("take interactive calls before background ones", async () => {
      const running = await occupy("narrow");
      await running.free();
      const busy = await occupy();
      const tag = newName("turn");
      const send = (name: string, priority: "interactive" | "background") =>
        batched().upper(
          [1, 2].map((i) => `${name}${i} ${tag}`),
          { priority },
        );
      const calls = [send("b", "background"), send("i", "interactive"), send("j", "interactive")];
      await arrived();
      await busy.free();
      await Promise.all(calls);
      const names = (await batchesWith(tag)).map((batch) => batch.map((row) => row.split(" ")[0]).join(" "));
      assert.deepEqual(names, ["i1 i2 j1 j2", "b1 b2"]);
    });

    it("have a call of their own: the deadline and the request are those of a caller", async () => {
      const [text = ""] = await batched().caller(["x"], { timeoutMs: 30_000, priority: "background" });
      const seen = JSON.parse(text);
      assert.ok(Math.abs(seen.deadline - Date.now() - 30_000) < 30_000);
      assert.deepEqual([seen.priority, typeof seen.requestId], ["background", "string"]);
    });
  });
}
