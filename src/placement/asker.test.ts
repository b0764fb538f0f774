import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "../../test/fake-clock.js";
import { ControlRequests } from "./control.js";

interface Answers {
  ready: boolean;
  count: number;
}

function createAsker() {
  const clock = new FakeClock();
  const sent: string[] = [];
  const requests = new ControlRequests<Answers>(clock, (number, what) => sent.push(`${number} ${what}`));
  return { clock, sent, asker: requests };
}

describe("ControlRequests", () => {
  it("matches answers with questions by number, in whatever order they come", async () => {
    const { asker: requests, sent, clock } = createAsker();
    const ready = requests.ask("ready", 100);
    const count = requests.ask("count", 100);
    assert.deepEqual(sent, ["1 ready", "2 count"]);
    requests.receive({ number: 2, value: 7 });
    requests.receive({ number: 1, value: false });
    assert.deepEqual([await ready, await count], [false, 7]);
    assert.equal(clock.pendingTimers, 0);
  });

  it("fails with what the other side says went wrong", async () => {
    const { asker: requests, clock } = createAsker();
    const ready = requests.ask("ready", 100);
    requests.receive({ number: 1, error: "Error: ready() threw" });
    await assert.rejects(ready, /^Error: Error: ready\(\) threw$/);
    assert.equal(clock.pendingTimers, 0);
  });

  it("fails at the limit, and drops what comes after it", async () => {
    const { asker: requests, clock } = createAsker();
    const ready = assert.rejects(requests.ask("ready", 100), /no answer within 100 ms/);
    clock.advance(99);
    assert.equal(clock.pendingTimers, 1);
    clock.advance(1);
    await ready;
    requests.receive({ number: 1, value: true });
    assert.equal(clock.pendingTimers, 0);
  });

  it("drops an answer to nothing, and a second one", async () => {
    const { asker: requests } = createAsker();
    requests.receive({ number: 5, value: true });
    const count = requests.ask("count", 100);
    requests.receive({ number: 1, value: 1 });
    requests.receive({ number: 1, value: 2 });
    assert.equal(await count, 1);
  });

  it("fails every open question at once when the other side is gone, and each later one without sending it", async () => {
    const { asker: requests, sent, clock } = createAsker();
    const open = [requests.ask("ready", 100), requests.ask("count", 100)].map((asked) =>
      assert.rejects(asked, /it ended/),
    );
    requests.fail(new Error("it ended"));
    await Promise.all(open);
    assert.equal(clock.pendingTimers, 0);
    await assert.rejects(requests.ask("ready", 100), /it ended/);
    assert.deepEqual([sent.length, clock.pendingTimers], [2, 0]);
  });

  it("says in words what is no error", async () => {
    const { asker: requests } = createAsker();
    const ready = assert.rejects(requests.ask("ready", 100), /a number was thrown: 3/);
    requests.fail(3);
    await ready;
  });
});
