import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "../../test/fake-clock.js";
import { FakeChannel } from "../../test/transport/fake-channel.js";
import { startReplica } from "../../test/transport/start-replica.js";
import { createWireService, WireControl } from "../../test/transport/wire-service.js";
import { createCallTime } from "../call/call-scope.js";
import type { ServingError } from "../failure/serving-error.js";
import { createCallerHello, readLoadFrame, readPong, readReplicaHello } from "../transport/remote-hello.js";
import { RemoteServer } from "./serve-remote.js";

const digest = "0".repeat(32);
const own = { service: "Wire", name: "host/Wire#0", zone: "eu-1", contract: { digest, form: { service: "Wire" } } };
const settle = () => new Promise(setImmediate);

/** A replica that is called by the test, from another app. */
async function serve() {
  const control = new WireControl();
  const clock = new FakeClock();
  const replica = await startReplica(createWireService(control), { time: createCallTime(clock) });
  const channel = new FakeChannel();
  const limits: number[] = [];
  const cuts: ServingError[] = [];
  let progress = 0;
  Object.assign(channel, {
    limitFrames: (bytes: number) => limits.push(bytes),
    readProgress: () => progress,
    cut: (reason: ServingError) => {
      cuts.push(reason);
      channel.end(reason);
    },
  });
  let replicas = 1;
  const heard: string[] = [];
  const remote = new RemoteServer(
    channel,
    replica,
    { ...own, countReplicas: () => replicas },
    {
      onHello: () => heard.push("hello"),
      onRefused: () => heard.push("refused"),
      onEnd: () => heard.push("end"),
    },
  );
  const greet = (contract = digest, service = "Wire") =>
    channel.reader.receive(createCallerHello({ service, caller: "caller-1", contract }));
  const call = (id: number, api: string, input = "1") =>
    channel.receive("call", id, `${api}\n60000\nFront\nask\n["r1",{},"",null]\n${input}`);
  return {
    ...{ control, clock, replica, channel, limits, cuts, heard, remote, greet, call },
    setReplicas: (count: number) => {
      replicas = count;
    },
    move: () => progress++,
    loads: () => channel.sentOf("load").map(readLoadFrame),
  };
}

describe("RemoteServer", () => {
  it("answers the hello with itself, and reads nothing large or else before it (RS1)", async () => {
    const { channel, limits, heard, greet } = await serve();
    assert.deepEqual([channel.sent, limits], [[], [8_192]]);
    greet();
    const [frame] = channel.sent;
    assert.ok(frame);
    assert.deepEqual(readReplicaHello(frame), {
      ...{ service: "Wire", replica: "host/Wire#0", replicas: 1, zone: "eu-1", contract: digest },
    });
    assert.deepEqual([heard, limits.at(-1)], [["hello"], 256 * 1024 ** 2]);
    const stranger = await serve();
    assert.throws(() => stranger.call(1, "echo"), { id: "malformed_frame" });
    assert.throws(() => stranger.greet(digest, "Other"), /it calls Other, and this is Wire/);
    assert.deepEqual(stranger.heard, []);
  });

  it("sends its contract where the caller has another one, and serves when the caller's has come (RS1)", async () => {
    const { channel, heard, limits, greet, call } = await serve();
    greet("f".repeat(32));
    assert.equal(channel.sentOf("contract")[0]?.head, '{"service":"Wire"}');
    assert.deepEqual([heard, limits.at(-1)], [[], 1024 ** 2]);
    assert.throws(() => call(1, "echo"), { id: "malformed_frame" });
    channel.receive("contract", 0, '{"service":"Wire","apis":[]}');
    assert.deepEqual(heard, ["hello"]);
    call(1, "echo", "7");
    assert.deepEqual(
      channel.sentOf("reply").map(({ head }) => head),
      ["7"],
    );
  });

  it("answers pings with the number of ready replicas", async () => {
    const { channel, greet, setReplicas } = await serve();
    greet();
    channel.receive("ping", 5);
    setReplicas(4);
    channel.receive("ping", 6);
    assert.deepEqual(
      channel.sentOf("pong").map((pong) => [pong.id, readPong(pong)]),
      [
        [5, 1],
        [6, 4],
      ],
    );
  });

  it("tells its load while calls are there, at most each 100 ms and when it changed (RS3)", async () => {
    const { clock, control, greet, call, loads } = await serve();
    greet();
    clock.advance(1_000);
    assert.deepEqual(loads(), []);
    for (let id = 1; id <= 3; id++) call(id, "hold", `"${id}"`);
    clock.advance(99);
    assert.deepEqual(loads(), []);
    clock.advance(1);
    const [{ slots } = { slots: 0 }] = loads();
    assert.deepEqual(loads(), [{ calls: 3, slots }]);
    clock.advance(500);
    assert.equal(loads().length, 1);
    for (let id = 1; id <= 3; id++) control.hold(`${id}`).resolve("done");
    await settle();
    clock.advance(100);
    assert.deepEqual(loads().at(-1), { calls: 0, slots });
    clock.advance(1_000);
    assert.equal(loads().length, 2);
  });

  it("cancels the calls of a caller that has sent nothing for a minute (RS2)", async () => {
    const { clock, greet, call, move, cuts, heard, replica } = await serve();
    greet();
    call(1, "hold", '"a"');
    for (let minute = 0; minute < 3; minute++) {
      move();
      clock.advance(60_000);
    }
    assert.deepEqual(cuts, []);
    clock.advance(60_000);
    await settle();
    assert.match(String(cuts[0]), /its caller sent nothing for 60000 ms/);
    assert.deepEqual(heard, ["hello", "end"]);
    assert.equal(replica.inFlight <= 1, true);
  });

  it("leaves no timer behind when the channel ends", async () => {
    const { clock, channel, greet, call } = await serve();
    greet();
    call(1, "echo");
    const before = clock.pendingTimers;
    channel.end();
    // Those of the watch over its caller and of the next report.
    assert.equal(before - clock.pendingTimers, 2);
  });
});
