import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Reuser } from "./services/reuser.js";
import { Sink } from "./services/sink.js";
import { failureOf, newName, type Suite } from "./suite.js";

interface Answer {
  readonly values: { readonly data: Float32Array };
  readonly rows: readonly { readonly id: number }[];
}

/** Rows of an answer, as found in both of its columns. */
const readRows = ({ values, rows }: Answer) => [[...values.data], rows.map(({ id }) => id)];

/** Makes rows that no other caller has. */
const createIds = (caller: number, count: number) => Array.from({ length: count }, (_, i) => caller * 100 + i);

/** Functions that reuse their memory: a caller receives the value that was returned to it. */
export function testReuse({ app }: Suite): void {
  const reuser = () => app().service(Reuser);
  const unary = ["now", "later", "checked", "checkedLater"] as const;
  const batches = ["batchNow", "batchLater", "batchChecked"] as const;

  describe("memory that a function uses again", () => {
    for (const api of [...unary, ...batches]) {
      it(`mixes no rows up, whatever their number: ${api}`, async () => {
        const calls = Array.from({ length: 40 }, (_, caller) => createIds(caller + 1, 1 + (caller % 11)));
        const answers = await Promise.all(calls.map((ids) => reuser()[api]({ ids })));
        assert.deepEqual(
          answers.map(readRows),
          calls.map((ids) => [ids, ids]),
        );
      });
    }

    it("is each caller's own where a batch that failed is run again in parts", async () => {
      const calls = Array.from({ length: 12 }, (_, caller) => (caller + 1) * 100 + (caller === 7 ? 1 : 0));
      const answers = await Promise.allSettled(calls.map((id) => reuser().batchAgain({ rows: [{ id }] })));
      answers.forEach((answer, i) => {
        const id = (calls[i] as number) + 1000;
        if (answer.status === "fulfilled") assert.deepEqual(readRows(answer.value), [[id], [id]]);
        else assert.equal(answer.reason.message, `row ${id} is odd`);
        assert.equal(answer.status === "fulfilled", id % 2 === 0);
      });
    });

    for (const api of ["items", "itemsChecked"] as const) {
      it(`gives each item of a stream as it was: ${api}`, async () => {
        const read = async (ids: readonly number[]) => {
          const seen: unknown[] = [];
          for await (const item of reuser()[api]({ ids: [...ids] })) {
            seen.push([...readRows(item), new Set(item.bytes as Uint8Array)]);
            await new Promise(setImmediate);
          }
          assert.deepEqual(
            seen,
            ids.map((id) => [[id], [id], new Set([id])]),
          );
        };
        await read([1, 2, 3, 4, 5, 6]);
      });
    }

    it("is read when a task ends, not when its result is stored", async () => {
      const ids = createIds(7, 3);
      assert.deepEqual(readRows(await reuser().run({ ids })), [ids, ids]);
    });

    it("is read at once beside a blob whose bytes come later", async () => {
      const ids = createIds(8, 3);
      assert.deepEqual(readRows(await reuser().withBlob({ ids })), [ids, ids]);
    });

    it("may be that of a caller's items", async () => {
      const record = { id: 0, bytes: new Uint8Array(2000) };
      const scribble = () => {
        record.id = -1;
        record.bytes.fill(0xee);
      };
      const scribbleAfter = (turns: number, id: number) =>
        queueMicrotask(() => {
          if (record.id !== id) return;
          if (turns === 0) scribble();
          else scribbleAfter(turns - 1, id);
        });
      const write = (id: number, turns: number) => {
        record.id = id;
        record.bytes.fill(id);
        scribbleAfter(turns, id);
        return record;
      };
      async function* later(): AsyncGenerator<unknown> {
        yield { name: newName("reused") };
        for (let id = 1; id <= 5; id++) yield write(id, 2);
      }
      function* now(): Generator<unknown> {
        yield { name: newName("reused") };
        for (let id = 1; id <= 5; id++) yield write(id, 1);
      }
      for (const make of [later, now]) {
        const items = (await app().service(Sink).consume(make())) as { id: number; bytes: Uint8Array }[];
        assert.deepEqual(
          items.map(({ id, bytes }) => [id, new Set(bytes)]),
          [1, 2, 3, 4, 5].map((id) => [id, new Set([id])]),
        );
      }
    });

    it("may be that of a caller's options", async () => {
      const options: { signal?: AbortSignal } = {};
      const answer = reuser().later(Promise.resolve({ ids: [1] }), options);
      options.signal = AbortSignal.abort();
      assert.deepEqual(readRows(await answer), [[1], [1]]);
      const cancelled = failureOf(reuser().later(Promise.resolve({ ids: [1] }), options));
      delete options.signal;
      assert.equal((await cancelled).id, "cancelled");
    });
  });
}
