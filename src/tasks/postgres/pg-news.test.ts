import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createDeferred, type Deferred } from "../../base/clock.js";
import { NewsSender } from "./pg-news.js";

describe("NewsSender", () => {
  it("gathers news while a statement runs, one piece for each api (PN2)", async () => {
    const running: Deferred<void>[] = [];
    const sent: object[][] = [];
    const sender = new NewsSender((news) => {
      sent.push((JSON.parse(news) as string[]).map((one) => JSON.parse(one)));
      const statement = createDeferred<void>();
      running.push(statement);
      return statement.promise;
    });
    const place = (api: string) => ({ namespace: "app", service: "Model", api });
    const from = sender.id;
    sender.tell({ ...place("train"), id: "first" });
    for (let i = 0; i < 1000; i++) sender.tell({ ...place("train"), id: `${i}` });
    for (let i = 0; i < 3; i++) sender.tell({ ...place("test"), id: "one" });
    const isClosed = sender.close();
    for (let i = 0; i < 2; i++) {
      assert.equal(running.length, i + 1, "one statement at a time");
      running[i]?.resolve();
      await new Promise(setImmediate);
    }
    await isClosed;
    assert.deepEqual(sent, [
      [{ ...place("train"), id: "first", from }],
      [
        { ...place("train"), from },
        { ...place("test"), id: "one", from },
      ],
    ]);
  });
});
