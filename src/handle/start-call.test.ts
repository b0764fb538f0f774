import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "../../test/fake-clock.js";
import { type CallScope, createCallTime } from "../call/call-scope.js";
import type { ReplicaLink } from "../call/link.js";
import { fail } from "../failure/failures.js";
import { EdgeStats } from "../observe/call-stats.js";
import type { CallTarget } from "./call-target.js";
import { CalleeRoom } from "./callee-room.js";
import { ServiceLinks } from "./directory.js";
import { dispatchCall, dispatchStream, openScope } from "./start-call.js";

const service = "Model";

function createRoute(isIdempotent: boolean): CallTarget {
  const stats = new EdgeStats("local", service, "run");
  const time = createCallTime(new FakeClock());
  return {
    ...{
      service,
      api: "run",
      timeoutMs: 1000,
      idempotent: isIdempotent,
      takesStream: false,
      itemSchema: undefined,
      waitForReplicaMs: 1000,
    },
    links: new ServiceLinks(service),
    room: new CalleeRoom(time.clock, stats),
    stats,
    time,
  };
}

function openWith(target: CallTarget, input: unknown): CallScope {
  const caller = { service: "local", api: "" };
  const none = { parent: undefined, reader: undefined, request: undefined, timeoutMs: undefined, signal: undefined };
  return openScope(target, { input, caller, outside: false, priority: "interactive", ...none });
}

/** Answers each call with its input as it is when the link gets it, and each stream with it as the one item. */
const echoLink: ReplicaLink = {
  replica: "Model#1",
  inFlight: 0,
  send: (scope) => scope.reply(structuredClone(scope.input.value)),
  open(scope, sink) {
    let isGiven = false;
    const pull = () => {
      if (isGiven) return sink.end();
      isGiven = true;
      sink.item(structuredClone(scope.input.value), true);
    };
    return { pull, stop: () => {} };
  },
};

/** Takes calls and gives none of them an answer until it is cut. */
class SilentLink implements ReplicaLink {
  readonly replica = "Model#0";
  inFlight = 0;
  readonly scopes: CallScope[] = [];

  send(scope: CallScope): void {
    this.scopes.push(scope);
  }

  open(): never {
    throw new Error("no stream was expected");
  }

  cut(): void {
    for (const scope of this.scopes) scope.replyFailure(fail("replica_lost", { replica: this.replica }, { service }));
  }
}

describe("the input of a call", () => {
  it("is what it was when the call was made, for a call that is held until a replica is ready", async () => {
    const target = createRoute(false);
    const input = { list: [1] };
    const reply = dispatchCall(target, openWith(target, input));
    input.list.push(2);
    target.links.add(echoLink);
    assert.deepEqual(await reply, { list: [1] });
  });

  it("is what it was when the call was made, for a call that is sent again", async () => {
    const target = createRoute(true);
    const lost = new SilentLink();
    target.links.add(lost);
    const input = { list: [1] };
    const reply = dispatchCall(target, openWith(target, input));
    input.list.push(2);
    target.links.remove(lost);
    target.links.add(echoLink);
    lost.cut();
    assert.deepEqual(await reply, { list: [1] });
  });

  it("is what it was when the stream was opened, for a stream that is read later", async () => {
    const target = createRoute(false);
    target.links.add(echoLink);
    const input = { list: [1] };
    const items = dispatchStream(target, openWith(target, input));
    input.list.push(2);
    assert.deepEqual((await items.next()).value, { list: [1] });
  });

  it("is not copied by a handle that sends the call at once", async () => {
    const target = createRoute(false);
    const link = new SilentLink();
    target.links.add(link);
    const input = { list: [1] };
    void dispatchCall(target, openWith(target, input));
    assert.equal(link.scopes[0]?.input.value, input);
  });

  it("is refused at once where it can't cross and no replica is ready", async () => {
    const target = createRoute(false);
    const refused = { id: "not_transferable", service, api: "run", details: { path: "input.run", what: "a function" } };
    await assert.rejects(dispatchCall(target, openWith(target, { run: () => 1 })), refused);
    const items = dispatchStream(target, openWith(target, { run: () => 1 }));
    await assert.rejects(items.next(), refused);
    assert.equal(target.stats.inFlight, 0);
  });
});
