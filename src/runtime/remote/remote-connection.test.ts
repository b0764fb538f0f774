import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "../../../test/fake-clock.js";
import { FakeChannel } from "../../../test/transport/fake-channel.js";
import { openCall } from "../../../test/transport/open-call.js";
import { createCallTime } from "../../call/call-scope.js";
import { fail } from "../../failure/failures.js";
import { frameKinds } from "../../transport/frame.js";
import { createLoadFrame, createReplicaHello } from "../../transport/remote-hello.js";
import { RemoteConnection } from "./remote-connection.js";

const ours = "0".repeat(32);
const theirs = "f".repeat(32);
const limits = { intervalMs: 1_000, suspendAfterMs: 5_000, replaceAfterMs: 30_000 };
const hello = { service: "Wire", replica: "host/Wire#0", replicas: 2, zone: "eu-1", contract: ours };
const unfit = fail("contract_differs", { service: "Wire", address: "a", changes: [] });

/** A connection whose other side is the test. */
function connect({ wanted = true, fits = true } = {}) {
  const clock = new FakeClock();
  const channel = new FakeChannel();
  const frameLimits: number[] = [];
  const cuts: string[] = [];
  Object.assign(channel, {
    limitFrames: (bytes: number) => frameLimits.push(bytes),
    cut: (reason: Error) => {
      cuts.push(reason.message);
      channel.end(fail("replica_lost", { replica: "host/Wire#0" }));
    },
  });
  const heard: string[] = [];
  const judged: object[] = [];
  const judge = (form: object) => {
    judged.push(form);
    return fits ? undefined : unfit;
  };
  const contract = { service: "Wire", digest: ours, form: { service: "Wire" }, judge };
  const connection = new RemoteConnection(
    channel,
    { contract, caller: "me", zone: "eu-1", clock, limits },
    {
      opened: ({ replica }) => {
        heard.push(`opened ${replica}`);
        return wanted;
      },
      draining: () => heard.push("draining"),
      silent: (isSilent) => heard.push(isSilent ? "silent" : "heard"),
      announced: (replicas) => heard.push(`${replicas} replicas`),
      closed: (reason) => heard.push(`closed ${reason?.id ?? "in order"}`),
    },
  );
  const greet = (more: object = {}) => channel.reader.receive(createReplicaHello({ ...hello, ...more }));
  const pings = () => channel.sentOf("ping").map(({ id }) => id);
  return { clock, channel, connection, heard, judged, frameLimits, cuts, greet, pings };
}

describe("RemoteConnection", () => {
  it("says whom it calls, reads nothing large before the hello, and opens with it (NX1)", () => {
    const { channel, heard, frameLimits, greet, connection } = connect();
    assert.match(channel.sent[0]?.head ?? "", /"service":"Wire","caller":"me"/);
    assert.deepEqual(frameLimits, [8_192]);
    greet();
    assert.deepEqual(heard, ["opened host/Wire#0"]);
    assert.deepEqual(
      [connection.replica, connection.isNear, frameLimits.at(-1)],
      ["host/Wire#0", true, 256 * 1024 ** 2],
    );
  });

  it("refuses another service than the wanted one (NX1)", () => {
    const { greet, heard } = connect();
    assert.throws(() => greet({ service: "Other" }), /it serves Other, not Wire/);
    assert.deepEqual(heard, []);
  });

  it("exchanges contracts where their digests differ, and opens only when it can live with theirs (NX1)", () => {
    for (const fits of [true, false]) {
      const { channel, greet, heard, judged, frameLimits } = connect({ fits });
      greet({ contract: theirs });
      assert.deepEqual([heard, channel.sentOf("contract").length, frameLimits.at(-1)], [[], 1, 1024 ** 2]);
      const receive = () => channel.receive("contract", 0, '{"service":"Wire","apis":[]}');
      if (fits) receive();
      else assert.throws(receive, { id: "contract_differs" });
      assert.deepEqual(judged, [{ service: "Wire", apis: [] }]);
      assert.deepEqual(heard, fits ? ["opened host/Wire#0"] : []);
    }
  });

  it("closes a link that is not wanted, and pings no more (NX3)", () => {
    const { channel, greet, clock } = connect({ wanted: false });
    greet();
    assert.deepEqual([channel.isClosed, clock.pendingTimers], [true, 0]);
  });

  it("pings each second, reports silence and its end, and ends a lost link with its calls (NX2)", async () => {
    const { clock, channel, connection, greet, heard, pings, cuts } = connect();
    greet();
    clock.advance(2_500);
    assert.deepEqual(pings(), [1]);
    channel.receive("pong", 1, "3");
    clock.advance(1_000);
    assert.deepEqual(pings(), [1, 2]);
    clock.advance(5_000);
    assert.deepEqual(heard.splice(0), ["opened host/Wire#0", "3 replicas", "silent"]);
    channel.receive("pong", 2, "3");
    assert.deepEqual(heard.splice(0), ["heard", "3 replicas"]);
    const { scope, answer } = openCall("echo", 1);
    connection.send(scope);
    clock.advance(40_000);
    await assert.rejects(answer, { id: "replica_lost" });
    assert.deepEqual(cuts, [
      "replica host/Wire#0 was lost while the call was on it: nothing came from it for 30000 ms",
    ]);
    assert.deepEqual(heard, ["silent", "closed replica_lost"]);
    assert.equal(clock.pendingTimers, 0);
  });

  it("leaves no timer behind when it ends (NX3)", () => {
    const { clock, channel, greet, heard } = connect();
    greet();
    assert.equal(clock.pendingTimers, 1);
    channel.end();
    assert.deepEqual([clock.pendingTimers, heard.at(-1)], [0, "closed in order"]);
    const stranger = connect();
    stranger.channel.end();
    assert.deepEqual(stranger.heard, ["closed in order"]);
  });

  it("tells the load of the replica: what it reported, and own calls since", () => {
    const { channel, connection, greet } = connect();
    greet();
    for (let i = 0; i < 3; i++) connection.send(openCall("echo", i).scope);
    assert.deepEqual([connection.inFlight, connection.burden], [3, 3]);
    channel.reader.receive(createLoadFrame({ calls: 10, slots: 20 }));
    assert.equal(connection.burden, 0.5);
    connection.send(openCall("echo", 4).scope);
    assert.equal(connection.burden, 11 / 20);
    for (const { id } of channel.sentOf("call")) channel.receive("reply", id, "1");
    assert.deepEqual([connection.inFlight, connection.burden], [0, 7 / 20]);
    assert.throws(() => channel.receive("load", 0, "many"), { id: "malformed_frame" });
  });

  it("takes the time on the way from the time left of a call", () => {
    const { clock, channel, connection, greet } = connect();
    clock.advance(80);
    greet();
    const time = createCallTime(clock);
    const send = () => {
      connection.send(openCall("echo", 1, { time, deadline: clock.now() + 1_000 }).scope);
      return Number(channel.sentOf("call").at(-1)?.head.split("\n")[1]);
    };
    assert.equal(send(), 960);
    clock.advance(20);
    channel.receive("pong", 1, "1");
    assert.equal(send(), 990);
    // A late pong makes no deadline shorter.
    clock.advance(980);
    clock.advance(700);
    channel.receive("pong", 2, "1");
    assert.equal(send(), 990);
    connection.send(openCall("echo", 1, { time, deadline: clock.now() + 4 }).scope);
    assert.equal(channel.sentOf("call").at(-1)?.head.split("\n")[1], "-6");
  });

  it("ends on a frame that no replica sends", () => {
    const { channel, greet } = connect();
    greet();
    for (const kind of ["ping", "contract", "hello"] as const) {
      assert.throws(() => channel.receive(kind, 0), { id: "malformed_frame" }, kind);
    }
    assert.ok(frameKinds.ping);
  });
});
