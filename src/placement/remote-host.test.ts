import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MessagePort } from "node:worker_threads";
import { FakeClock } from "../../test/fake-clock.js";
import { type Logger, silentLogger } from "../base/logger.js";
import { fail } from "../failure/failures.js";
import { encodeError } from "../transport/wire-error.js";
import type { FromRuntime, ReplicaOrder, ReplicaWord, RuntimeOrder, ToRuntime } from "./control.js";
import type { Caller, CallerResidence } from "./placement.js";
import { RemoteHost } from "./remote-host.js";
import { RemoteRuntime, type RemoteRuntimeDeps, type Runner } from "./remote-runtime.js";

/** A process that is none: it keeps what it is sent, and says what a test has it say. */
class FakeRunner implements Runner {
  readonly pid = 77;
  readonly sharesProcess: boolean;
  readonly sent: ToRuntime[] = [];
  readonly handles: unknown[] = [];
  kills = 0;
  /** True when `kill` is followed by an exit, one turn of the event loop later as in reality. */
  diesWhenKilled = true;
  say!: (message: FromRuntime) => void;
  #exited!: (how: string) => void;
  #hasExited = false;

  constructor(sharesProcess: boolean) {
    this.sharesProcess = sharesProcess;
  }

  send(message: ToRuntime, handle?: unknown): void {
    assert.equal(this.#hasExited, false, "nothing is sent to what has exited");
    this.sent.push(message);
    if (handle !== undefined) this.handles.push(handle);
  }

  onMessage(receive: (message: FromRuntime) => void): void {
    this.say = receive;
  }

  onExit(exited: (how: string) => void): void {
    this.#exited = exited;
  }

  kill(): void {
    this.kills++;
    if (this.diesWhenKilled) setImmediate(() => this.exit("was ended by SIGKILL"));
  }

  exit(how: string): void {
    if (this.#hasExited) return;
    this.#hasExited = true;
    this.#exited(how);
  }

  get kinds(): string[] {
    return this.sent.map(({ kind }) => kind);
  }
}

const startTimeoutMs = 60_000;
const settled = () => new Promise((resolve) => setImmediate(resolve));

function createHost({ sharesProcess = false, answer }: Partial<Runner & RemoteRuntimeDeps> = {}) {
  const clock = new FakeClock();
  const runner = new FakeRunner(sharesProcess);
  const lines: string[] = [];
  const write = (level: string) => (fields: object, message?: string) =>
    lines.push(`${level} ${JSON.stringify(fields)} ${message}`);
  const log: Logger = {
    debug: () => {},
    info: write("info"),
    warn: write("warn"),
    error: write("error"),
    child: () => log,
  };
  const runtimeOrder = { names: { replica: "A#0" } } as unknown as RuntimeOrder;
  const runtime = new RemoteRuntime(() => runner, {
    ...{ residence: sharesProcess ? "thread" : "process", order: runtimeOrder, clock, log },
    answer: answer ?? (() => assert.fail("not asked here")),
    onExit: (pid) => exits.push(pid),
  });
  const order = { id: "A#0", service: "A", address: "/run/1.sock" } as unknown as ReplicaOrder;
  const memoryBytes = Number.POSITIVE_INFINITY;
  const startTimeoutFrom = "Service() of A";
  const parts = { startTimeoutMs, startTimeoutFrom, drainTimeoutMs: 30_000, memoryBytes, clock, log };
  const host = new RemoteHost(runtime, { ...parts, order });
  const add = (service: string) => {
    const id = `${service}#0`;
    return new RemoteHost(runtime, { ...parts, order: { ...order, id, service, address: `/run/${service}.sock` } });
  };
  const ends: string[] = [];
  const exits: (number | undefined)[] = [];
  void host.ended.then((how) => ends.push(how));
  const abort = new AbortController();
  return { host, runtime, add, runner, clock, lines, ends, exits, abort, order, runtimeOrder };
}

const addresses: Readonly<Record<string, string>> = {
  "A#0": "/run/1.sock",
  "B#0": "/run/B.sock",
  "C#0": "/run/C.sock",
};
/** Names the replica of a message. */
const by = (replica: string) => ({ replica, address: addresses[replica] });
const done = (word: ReplicaWord, replica = "A#0"): FromRuntime => ({ kind: "done", ...by(replica), word });

async function createStarted(over: Partial<Runner & RemoteRuntimeDeps> = {}) {
  const made = createHost(over);
  const loaded = made.host.load(made.abort.signal);
  made.runner.say({ kind: "loaded" });
  await loaded;
  const started = made.host.start(made.abort.signal);
  made.runner.say(done("started"));
  await started;
  made.runner.sent.length = 0;
  return made;
}

describe("RemoteHost.load and start", () => {
  it("order one after the other, each answered by its own word", async () => {
    const { host, runner, abort, order, runtimeOrder, clock } = createHost();
    assert.equal(host.pid, undefined);
    const loaded = host.load(abort.signal);
    assert.deepEqual([runner.sent, host.pid], [[{ kind: "load", order: runtimeOrder }], 77]);
    runner.say({ kind: "loaded" });
    await loaded;
    const started = host.start(abort.signal);
    assert.deepEqual(runner.sent[1], { kind: "start", order });
    runner.say(done("started"));
    await started;
    assert.equal(clock.pendingTimers, 0);
  });

  it("throw what the replica says went wrong, as it was thrown there", async () => {
    const { host, runner, abort, clock } = createHost();
    const loaded = assert.rejects(host.load(abort.signal), { id: "module_failed", service: "A" });
    const error = fail("module_failed", { file: "a.ts", error: "no such export" }, { service: "A" });
    runner.say({ kind: "load-failed", error: encodeError(error) });
    await loaded;
    assert.equal(clock.pendingTimers, 0);
  });

  it("kill a replica that passes its limit, and name it", async () => {
    const { host, runner, abort, clock } = createHost();
    const loaded = host.load(abort.signal);
    runner.say({ kind: "loaded" });
    await loaded;
    const started = assert.rejects(host.start(abort.signal), {
      id: "start_timeout",
      service: "A",
      message: `start() did not finish within ${startTimeoutMs} ms (startTimeoutMs, from Service() of A); it blocked the event loop for 5000 ms more and was killed`,
    });
    await settled();
    clock.advance(startTimeoutMs + 4_999);
    assert.equal(runner.kills, 0);
    clock.advance(1);
    await started;
    assert.equal(runner.kills, 1);
  });

  it("wait for a start as long as the replica says that it may take, whatever comes before its hook", async () => {
    const { host, runner, abort, clock } = createHost();
    const started = host.load(abort.signal).then(() => host.start(abort.signal));
    runner.say({ kind: "loaded" });
    await settled();
    runner.say({ kind: "starting", ...by("A#0"), limitMs: 200_000 });
    clock.advance(200_000);
    runner.say({ kind: "starting", ...by("A#0"), limitMs: startTimeoutMs });
    clock.advance(startTimeoutMs + 4_999);
    assert.equal(runner.kills, 0);
    const late = assert.rejects(started, { id: "start_timeout", message: /for 5000 ms more and was killed/ });
    clock.advance(1);
    await late;
    assert.deepEqual([runner.kills, clock.pendingTimers], [1, 0]);
  });

  it("kill one whose files never finish loading", async () => {
    const { host, runner, abort, clock } = createHost();
    const loaded = assert.rejects(host.load(abort.signal), {
      id: "load_timeout",
      message: "loading the author's files took longer than 120000 ms, and the replica was ended",
    });
    clock.advance(120_000);
    await loaded;
    assert.equal(runner.kills, 1);
  });

  it("wait for one that is debugged, however long it takes to load, to start and to listen", async () => {
    const { host, runner, abort, clock, runtimeOrder } = createHost();
    Object.assign(runtimeOrder, { inspect: { port: 0, waits: true } });
    const loaded = host.load(abort.signal);
    clock.advance(3_600_000);
    runner.say({ kind: "loaded" });
    await loaded;
    const started = host.start(abort.signal);
    await settled();
    clock.advance(3_600_000);
    runner.say(done("started"));
    await started;
    const listening = host.listen({});
    clock.advance(3_600_000);
    runner.say(done("listening"));
    await listening;
    assert.deepEqual([runner.kills, host.isInspected], [0, true]);
  });

  it("fail when the replica ends in the middle, with how it ended (IH1)", async () => {
    for (const isLoaded of [false, true]) {
      const { host, runner, abort, clock } = createHost();
      let step = host.load(abort.signal);
      if (isLoaded) {
        runner.say({ kind: "loaded" });
        await step;
        step = host.start(abort.signal);
      }
      const failed = assert.rejects(step, {
        id: "replica_ended",
        message: /before it was ready: ended with exit code 9/,
      });
      runner.exit("ended with exit code 9");
      await failed;
      assert.equal(clock.pendingTimers, 0);
    }
  });

  it("fail at once when it has ended between the two (IH1)", async () => {
    const { host, runner, abort, clock } = createHost();
    const loaded = host.load(abort.signal);
    runner.say({ kind: "loaded" });
    await loaded;
    runner.exit("was ended by SIGKILL");
    await assert.rejects(host.start(abort.signal), { id: "replica_ended" });
    await assert.rejects(host.listen({}), { id: "replica_ended" });
    assert.equal(clock.pendingTimers, 0);
  });

  it("kill what is called off, and begin nothing after that", async () => {
    const { host, runner, abort, ends } = createHost();
    const loaded = assert.rejects(host.load(abort.signal), { id: "replica_ended" });
    abort.abort();
    await loaded;
    assert.equal(runner.kills, 1);
    await assert.rejects(host.start(abort.signal), { id: "start_aborted" });
    const late = createHost();
    late.abort.abort();
    await assert.rejects(late.host.load(late.abort.signal), { id: "start_aborted" });
    assert.equal(late.runner.sent.length, 0);
    assert.deepEqual(ends, []);
  });

  it("leave a replica that runs alone when its place is given back", async () => {
    const { runner, abort } = await createStarted();
    abort.abort();
    assert.equal(runner.kills, 0);
  });
});

describe("RemoteHost", () => {
  it("tells of every end, asked for or not, so that what it leaves can be cleared away", async () => {
    const crashed = await createStarted();
    crashed.runner.exit("was ended by SIGKILL");
    const stopped = await createStarted();
    const stop = stopped.host.stop();
    assert.deepEqual(stopped.exits, []);
    stopped.runner.exit("ended with exit code 0");
    await stop;
    assert.deepEqual([crashed.exits, stopped.exits], [[77], [77]]);
  });
});

describe("RemoteHost.ended", () => {
  it("says how a replica ended that nobody asked to (IH2)", async () => {
    const crashed = await createStarted();
    crashed.runner.exit("was ended by SIGSEGV");
    await settled();
    assert.deepEqual(crashed.ends, ["was ended by SIGSEGV"]);
    const killed = await createStarted();
    killed.host.kill();
    await settled();
    assert.deepEqual(killed.ends, ["was ended by SIGKILL"]);
  });

  it("says nothing of one that was asked to drain or to stop (IH2)", async () => {
    for (const way of ["drain", "stop"] as const) {
      const { host, runner, ends } = await createStarted();
      const done = host[way]();
      runner.exit("ended with exit code 0");
      await done;
      await settled();
      assert.deepEqual(ends, [], way);
    }
  });
});

describe("RemoteHost, asked about its replica", () => {
  it("hands on questions and answers", async () => {
    const { host, runtime, runner, clock } = await createStarted();
    const asked = Promise.all([host.isReady(), host.pulse(1000), runtime.metrics()]);
    const replica = "A#0";
    assert.deepEqual(runner.sent, [
      { kind: "ask-replica", replica, number: 1, what: "ready" },
      { kind: "ask-replica", replica, number: 2, what: "pulse" },
      { kind: "ask", number: 1, what: "metrics" },
    ]);
    runner.say({ kind: "replica-answer", ...by(replica), number: 2, value: { residentBytes: 5, inFlight: 1 } });
    runner.say({ kind: "replica-answer", ...by(replica), number: 1, value: true });
    runner.say({ kind: "answer", number: 1, value: [] });
    assert.deepEqual(await asked, [true, { residentBytes: 5, inFlight: 1 }, []]);
    assert.equal(clock.pendingTimers, 0);
  });

  it("takes one that does not answer, or fails to, for not ready", async () => {
    const { host, runner, clock } = await createStarted();
    const silent = host.isReady();
    clock.advance(2_500);
    assert.equal(await silent, false);
    const failing = host.isReady();
    runner.say({ kind: "replica-answer", ...by("A#0"), number: 2, error: "Error: no" });
    assert.equal(await failing, false);
  });

  it("fails open questions when the replica ends, and later ones at once (IH1)", async () => {
    const { host, runtime, runner, clock } = await createStarted();
    const pulse = assert.rejects(host.pulse(30_000), { id: "replica_ended" });
    const ready = host.isReady();
    runner.exit("ended with exit code 1");
    await pulse;
    assert.equal(await ready, false);
    assert.equal(await host.isReady(), false);
    await assert.rejects(host.pulse(30_000), { id: "replica_ended" });
    await assert.rejects(runtime.metrics(), /ended with exit code 1/);
    assert.equal(clock.pendingTimers, 0);
  });

  it("answers what the replica asks of the app, also when that fails", async () => {
    const readiness = { isReady: true, services: [] };
    const answer = async (what: string): Promise<any> => {
      if (what === "readiness") return readiness;
      throw new Error("no metrics");
    };
    const { runner } = await createStarted({ answer });
    runner.say({ kind: "ask", number: 4, what: "readiness" });
    runner.say({ kind: "ask", number: 5, what: "metrics" });
    await settled();
    assert.deepEqual(runner.sent, [
      { kind: "answer", number: 4, value: readiness },
      { kind: "answer", number: 5, error: "Error: no metrics" },
    ]);
  });

  it("keeps its answer to itself when the replica has ended meanwhile", async () => {
    const { runner } = await createStarted({ answer: async (): Promise<any> => ({ isReady: true, services: [] }) });
    runner.say({ kind: "ask", number: 4, what: "readiness" });
    runner.exit("ended with exit code 1");
    await settled();
    assert.deepEqual(runner.sent, []);
  });

  it("writes the replica's lines to the app's log", async () => {
    const { runner, lines } = await createStarted();
    runner.say({ kind: "log", level: "warn", fields: { replica: "A#0" }, message: "low memory" });
    assert.deepEqual(lines, ['warn {"replica":"A#0"} low memory']);
  });
});

const callerIn = (residence: CallerResidence): Caller => ({ residence, notify: () => {} });

describe("RemoteHost.offerTo", () => {
  it("gives the address of a process to everybody", async () => {
    const { host, runner } = await createStarted();
    for (const caller of ["main", "thread", "process"] as const) {
      assert.deepEqual(host.offerTo(callerIn(caller)), { kind: "address", address: "/run/1.sock" });
    }
    assert.deepEqual(runner.sent, []);
  });

  it("gives a joined port to callers in the process of a thread, and its other end to the thread", async () => {
    const { host, runner } = await createStarted({ sharesProcess: true });
    assert.equal(host.offerTo(callerIn("process")).kind, "address");
    for (const caller of ["main", "thread"] as const) {
      const offer = host.offerTo(callerIn(caller));
      assert.ok(offer.kind === "port" && offer.port instanceof MessagePort);
      const accept = runner.sent.at(-1);
      assert.ok(accept?.kind === "accept" && accept.port !== offer.port);
      offer.port.close();
    }
    assert.deepEqual(runner.kinds, ["accept", "accept"]);
  });
});

describe("RemoteHost.listen", () => {
  it("sends the listening socket, and waits for the word", async () => {
    const { host, runner, clock } = await createStarted();
    const handle = {};
    const listening = host.listen(handle);
    assert.deepEqual([runner.kinds, runner.handles], [["listen"], [handle]]);
    runner.say(done("listening"));
    await listening;
    assert.equal(clock.pendingTimers, 0);
  });
});

describe("RemoteHost.drain and stop", () => {
  it("wait for the replica's own word and end", async () => {
    const { host, runner, clock } = await createStarted();
    const drained = host.drain();
    assert.deepEqual(runner.sent, [{ kind: "drain", replica: "A#0", limitMs: 30_000 }]);
    runner.say(done("drained"));
    await drained;
    const stopped = host.stop();
    assert.deepEqual(runner.kinds, ["drain", "end"]);
    runner.exit("ended with exit code 0");
    await stopped;
    assert.equal(clock.pendingTimers, 0);
  });

  it("do not wait for a replica that is stuck: it is killed", async () => {
    const { host, runner, clock, lines } = await createStarted();
    const drained = host.drain();
    clock.advance(31_000);
    await drained;
    const stopped = host.stop();
    clock.advance(11_999);
    assert.equal(runner.kills, 0);
    clock.advance(1);
    await stopped;
    assert.equal(runner.kills, 1);
    assert.match(lines[0] ?? "", /^warn .* the process did not end within 12000 ms and was killed$/);
  });

  it("wait for the end of what was killed", async () => {
    const { host, runner, clock } = await createStarted();
    runner.diesWhenKilled = false;
    let isStopped = false;
    const stopped = host.stop().then(() => {
      isStopped = true;
    });
    clock.advance(12_000);
    await settled();
    assert.deepEqual([runner.kills, isStopped], [1, false]);
    runner.exit("was ended by SIGKILL");
    await stopped;
  });

  it("end with a replica that ends during its drain (IH1)", async () => {
    const { host, runner, clock, ends } = await createStarted();
    const drained = host.drain();
    runner.exit("ended with exit code 1");
    await drained;
    await host.stop();
    assert.deepEqual([runner.kinds, ends, clock.pendingTimers], [["drain"], [], 0]);
  });

  it("have nothing to do where nothing was loaded or everything has ended (IR4)", async () => {
    const { host, runner } = createHost();
    await host.drain();
    await host.stop();
    host.kill();
    assert.deepEqual([runner.sent, runner.kills], [[], 0]);
    const ended = await createStarted();
    ended.runner.exit("ended with exit code 1");
    await ended.host.drain();
    await ended.host.stop();
    ended.runtime.notify({ kind: "planned", service: "B", replicas: 1 });
    assert.deepEqual(ended.runner.sent, []);
  });
});

/** A and B in one process, both started. */
async function createPair() {
  const made = await createStarted();
  const other = made.add("B");
  const otherEnds: string[] = [];
  void other.ended.then((how) => otherEnds.push(how));
  const abort = new AbortController();
  await other.load(abort.signal);
  const started = other.start(abort.signal);
  made.runner.say(done("started", "B#0"));
  await started;
  made.runner.sent.length = 0;
  return { ...made, other, otherEnds };
}

describe("RemoteHosts that share a process", () => {
  it("bring it up once (IR1)", async () => {
    const { host, runner, add, abort } = createHost();
    const other = add("B");
    const loaded = Promise.all([host.load(abort.signal), other.load(abort.signal)]);
    assert.deepEqual(runner.kinds, ["load"]);
    runner.say({ kind: "loaded" });
    await loaded;
    await add("C").load(abort.signal);
    assert.deepEqual(runner.kinds, ["load"]);
  });

  it("fail one by one to start: what one throws is not told of another", async () => {
    const { host, runner, add, abort } = createHost();
    const other = add("B");
    const loaded = Promise.all([host.load(abort.signal), other.load(abort.signal)]);
    runner.say({ kind: "loaded" });
    await loaded;
    const failed = assert.rejects(host.start(abort.signal), { id: "start_failed", service: "A" });
    const started = other.start(abort.signal);
    const error = encodeError(fail("start_failed", { hook: "start", error: "no" }, { service: "A" }));
    runner.say({ kind: "failed", ...by("A#0"), word: "started", error });
    runner.say(done("started", "B#0"));
    await failed;
    await started;
    assert.equal(runner.kills, 0);
  });

  it("stop one by one, and the last one ends the process (IR1)", async () => {
    const { host, other, runner, runtime, clock } = await createPair();
    const stopped = host.stop();
    assert.deepEqual(runner.sent, [{ kind: "stop", replica: "A#0" }]);
    assert.equal(runtime.isOpen, true);
    runner.say(done("stopped"));
    await stopped;
    const ended = other.stop();
    assert.deepEqual([runner.kinds, runtime.isOpen], [["stop", "end"], false]);
    runner.exit("ended with exit code 0");
    await ended;
    assert.equal(clock.pendingTimers, 0);
  });

  it("end the process once when all are stopped at once", async () => {
    const { host, other, runner, clock } = await createPair();
    const stopped = Promise.all([host.stop(), other.stop()]);
    runner.say(done("stopped"));
    runner.say(done("stopped", "B#0"));
    await settled();
    assert.deepEqual(runner.kinds, ["stop", "stop", "end"]);
    runner.exit("ended with exit code 0");
    await stopped;
    assert.equal(clock.pendingTimers, 0);
  });

  it("leave behind what does not stop in time, and say so (IR3)", async () => {
    const { host, runner, clock, lines } = await createPair();
    const stopped = host.stop();
    clock.advance(12_000);
    await stopped;
    assert.equal(runner.kills, 0);
    assert.match(
      lines[0] ?? "",
      /^warn .* A#0 did not stop within 12000 ms; it was left behind in the process that it shares$/,
    );
  });

  it("end together, each told of one reason, and of none that was asked to end (IR2)", async () => {
    const crashed = await createPair();
    crashed.runner.exit("was ended by SIGKILL");
    await settled();
    assert.deepEqual([crashed.ends, crashed.otherEnds], [["was ended by SIGKILL"], ["was ended by SIGKILL"]]);
    const killed = await createPair();
    void killed.host.drain();
    killed.other.kill("did not answer");
    await settled();
    assert.deepEqual([killed.ends, killed.otherEnds], [[], ["did not answer"]]);
  });

  it("do not take the others with them when the start of one is called off", async () => {
    const { host, runner, add, abort } = await createStarted();
    const other = add("B");
    const calledOff = new AbortController();
    await other.load(calledOff.signal);
    const started = assert.rejects(other.start(calledOff.signal), { id: "start_aborted" });
    calledOff.abort();
    await started;
    assert.deepEqual(
      [runner.kills, abort.signal.aborted, await Promise.race([host.ended, "goes on"])],
      [0, false, "goes on"],
    );
  });

  it("are killed at once when the starts of all are called off", async () => {
    const { host, runner, add, abort } = createHost();
    const other = add("B");
    const loaded = [host, other].map((own) => assert.rejects(own.load(abort.signal)));
    abort.abort();
    await Promise.all(loaded);
    assert.equal(runner.kills, 1);
  });

  it("go on when the start of one is past its limit: whether the event loop is stuck is told by the others' heartbeats (IR5)", async () => {
    const { host, runner, add, abort, clock } = await createStarted();
    const other = add("B");
    await other.load(abort.signal);
    assert.equal(host.heldUpMs, 0);
    const started = other.start(abort.signal);
    assert.equal(host.heldUpMs, startTimeoutMs + 5_000);
    clock.advance(10 * startTimeoutMs);
    assert.deepEqual([runner.kills, host.heldUpMs], [0, 0]);
    runner.say({ kind: "starting", ...by("B#0"), limitMs: startTimeoutMs });
    runner.say(done("started", "B#0"));
    await started;
    assert.equal(clock.pendingTimers, 0);
    const third = add("C");
    await third.load(abort.signal);
    const killed = assert.rejects(third.start(abort.signal), {
      id: "replica_ended",
      message: /did not answer for 1 ms/,
    });
    clock.advance(10 * startTimeoutMs);
    other.kill("did not answer for 1 ms");
    await killed;
  });

  it("are killed when none has started and each start that was begun is past its limit (IR5)", async () => {
    const { host, runner, add, abort, clock, runtime } = createHost();
    const [patient, waiting] = [add("B"), add("C")];
    const loaded = Promise.all([host, patient, waiting].map((own) => own.load(abort.signal)));
    runner.say({ kind: "loaded" });
    await loaded;
    const failures = [host, patient].map((own) => assert.rejects(own.start(abort.signal), { id: "start_timeout" }));
    runner.say({ kind: "starting", ...by("B#0"), limitMs: 2 * startTimeoutMs });
    clock.advance(startTimeoutMs + 5_000);
    assert.equal(runner.kills, 0);
    clock.advance(startTimeoutMs);
    await Promise.all(failures);
    assert.deepEqual([runner.kills, runtime.isOpen], [1, false]);
    await settled();
    await assert.rejects(waiting.start(abort.signal), {
      id: "replica_ended",
      message: /a start in it blocked the event loop/,
    });
    await Promise.all([host, patient, waiting].map((own) => own.stop()));
    assert.equal(clock.pendingTimers, 0);
  });

  it("go on when the HTTP server of one does not open", async () => {
    const { host, runner, clock, other } = await createPair();
    const failed = assert.rejects(host.listen({}), { id: "load_timeout" });
    clock.advance(120_000);
    await failed;
    assert.deepEqual([runner.kills, await Promise.race([other.ended, "goes on"])], [0, "goes on"]);
  });

  it("take nothing for their own that one of their name says which they have followed", async () => {
    const { host, runner, clock, runtime, order } = await createPair();
    const stopped = host.stop();
    clock.advance(12_000);
    await stopped;
    const limits = { startTimeoutMs, drainTimeoutMs: 30_000, memoryBytes: Number.POSITIVE_INFINITY };
    const next = new RemoteHost(runtime, {
      ...limits,
      order: { ...order, address: "/run/2.sock" },
      clock,
      log: silentLogger,
    });
    let isStarted = false;
    const started = next.start(new AbortController().signal).then(() => {
      isStarted = true;
    });
    runner.say(done("started"));
    await settled();
    assert.equal(isStarted, false);
    runner.say({ ...done("started"), address: "/run/2.sock" } as FromRuntime);
    await started;
  });

  it("reach one another without a channel", async () => {
    const { host, other, runner } = await createPair();
    assert.deepEqual(host.offerTo(other.caller), { kind: "local" });
    assert.deepEqual(host.offerTo(callerIn("process")), { kind: "address", address: "/run/1.sock" });
    assert.deepEqual(runner.sent, []);
  });
});
