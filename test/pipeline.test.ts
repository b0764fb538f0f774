import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { api, currentCall, depends, Service, ServingError, type StartContext, Tensor, tensor } from "ekiben";
import { compose } from "ekiben/testing";
import { z } from "zod";

const text = { input: z.string(), output: z.string() };

/** Deferred that an api waits on in these tests, instead of time. */
function createGate() {
  let open!: () => void;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { open, opened };
}

class Upper extends Service() {
  upper = api(text, (value) => value.toUpperCase());
}
class Exclaim extends Service() {
  exclaim = api(text, (value) => `${value}!`);
  // A helper is no api: no handle has it.
  helper(): string {
    return "helper";
  }
}
class Shout extends Service() {
  upper = depends(Upper);
  exclaim = depends(Exclaim);
  shout = api(text, (value) => this.exclaim.exclaim(this.upper.upper(value)));
}

describe("a pipeline", () => {
  it("passes an unawaited result of one service to the next", async () => {
    await using app = await compose(Shout);
    assert.equal(await app.entry.shout("hey"), "HEY!");
    assert.equal(await app.service(Upper).upper("x"), "X");
    assert.deepEqual(Object.keys(app.service(Exclaim)), ["exclaim"]);
  });

  it("runs each service's start before its callers', with what it was granted, and stop after them", async () => {
    const order: string[] = [];
    class Model extends Service({ resources: { cpu: 1, memory: "1Gi" } }) {
      override async start(context: StartContext) {
        order.push(`start ${context.replica.id} ${context.resources.cpuThreads} ${context.resources.memoryBytes}`);
      }
      override stop() {
        order.push("stop model");
      }
      run = api(text, (value) => value);
    }
    class Front extends Service() {
      model = depends(Model);
      override async start() {
        order.push(`start front ${await this.model.run("warm")}`);
      }
      override stop() {
        order.push("stop front");
      }
      run = api(text, (value) => this.model.run(value));
    }
    const app = await compose(Front);
    await app.close();
    assert.deepEqual(order, ["start Model#0 1 1073741824", "start front warm", "stop front", "stop model"]);
  });

  it("never lets caller and callee see each other's changes", async () => {
    const kept: { list: number[] }[] = [];
    const schema = z.object({ list: z.array(z.number()) });
    class Mutator extends Service() {
      change = api({ input: z.any(), output: z.any() }, (value: { list: number[] }) => {
        value.list.push(99);
        kept.push(value);
        return value;
      });
      tensor = api({ input: tensor("float32", ["n"]), output: tensor("float32", ["n"]) }, (value) => {
        value.data[0] = 99;
        return value;
      });
    }
    class Front extends Service() {
      mutator = depends(Mutator);
      run = api({ input: schema, output: schema }, async (value) => {
        const result = (await this.mutator.change(value)) as { list: number[] };
        result.list.push(100);
        const x = new Tensor("float32", [1], Float32Array.of(1));
        const y = await this.mutator.tensor(x);
        return { list: [...value.list, ...result.list, x.data[0] ?? -1, y.data[0] ?? -1] };
      });
    }
    await using app = await compose(Front);
    assert.deepEqual((await app.entry.run({ list: [1] })).list, [1, 1, 99, 100, 1, 99]);
    assert.deepEqual(kept[0]?.list, [1, 99]);
  });

  it("refuses a value that could not cross a process, in either direction", async () => {
    class Odd extends Service() {
      take = api({ input: z.any(), output: z.any() }, (value) => (value === "give" ? () => 1 : "took it"));
    }
    await using app = await compose(Odd);
    await assert.rejects(app.entry.take({ run: () => 1 }), {
      id: "not_transferable",
      code: "invalid_argument",
      service: "Odd",
      api: "take",
    });
    await assert.rejects(app.entry.take("give"), { id: "output_not_transferable", code: "internal", service: "Odd" });
  });

  it("spreads calls over replicas, fewest in flight first", async () => {
    const gate = createGate();
    class Model extends Service({ replicas: 3 }) {
      #id = "";
      override start(context: StartContext) {
        this.#id = context.replica.id;
      }
      run = api(text, async () => {
        await gate.opened;
        return this.#id;
      });
    }
    await using app = await compose(Model);
    const calls = [1, 2, 3, 4, 5, 6].map(() => app.entry.run("x"));
    gate.open();
    const counts = new Map<string, number>();
    for (const id of await Promise.all(calls)) counts.set(id, (counts.get(id) ?? 0) + 1);
    assert.deepEqual([...counts.values()], [2, 2, 2]);
  });
});

describe("failures", () => {
  class Deep extends Service() {
    run = api(text, (value): string => {
      if (value === "own")
        throw new ServingError({ code: "not_found", id: "no_such_page", message: "page 7 of 3", details: { page: 7 } });
      if (value === "plain") throw new TypeError("cannot read x");
      if (value === "odd") throw "a string";
      return 5 as never;
    });
  }
  class Middle extends Service() {
    deep = depends(Deep);
    run = api(text, (value) => this.deep.run(value));
  }
  class Front extends Service() {
    middle = depends(Middle);
    run = api(text, (value) => this.middle.run(value));
    degrade = api(text, async (value) => {
      try {
        return await this.middle.run(value);
      } catch (error) {
        return error instanceof ServingError ? `degraded: ${error.id} in ${error.service}.${error.api}` : "?";
      }
    });
  }

  it("arrive over any number of hops with every field", async () => {
    await using app = await compose(Front);
    await assert.rejects(app.entry.run("own"), (error) => {
      assert.ok(error instanceof ServingError);
      const { code, id, message, details, service, api, retryable, httpStatus } = error;
      assert.deepEqual(
        { code, id, message, details, service, api, retryable, httpStatus },
        {
          code: "not_found",
          id: "no_such_page",
          message: "page 7 of 3",
          details: { page: 7 },
          service: "Deep",
          api: "run",
          retryable: false,
          httpStatus: 404,
        },
      );
      return true;
    });
  });

  it("become internal when they are no ServingError; the text is kept between services, the stack logged by each under one incident", async () => {
    const lines: { fields: Record<string, unknown>; message: string | undefined }[] = [];
    const log = {
      debug() {},
      info() {},
      warn() {},
      error: (fields: object, message?: string) => lines.push({ fields: fields as Record<string, unknown>, message }),
      child: () => log,
    };
    await using app = await compose(Front, { log });
    await assert.rejects(app.entry.run("plain"), {
      code: "internal",
      id: "unhandled_error",
      message: "cannot read x",
      service: "Deep",
    });
    // Logged once where it was thrown, and once by each caller it passed through, all with one incident.
    assert.equal(lines[0]?.message, "Deep.run threw: cannot read x");
    assert.equal(new Set(lines.map(({ fields }) => fields["incident"])).size, 1);
    assert.match(String((lines[0]?.fields["err"] as Error | undefined)?.stack), /pipeline\.test/);
    await assert.rejects(app.entry.run("odd"), { code: "internal", message: "a string" });
  });

  it("name the api that broke its own contract", async () => {
    await using app = await compose(Front);
    await assert.rejects(app.entry.run("number"), {
      code: "internal",
      id: "invalid_output",
      service: "Deep",
      api: "run",
    });
    await assert.rejects(app.entry.run(7 as never), {
      code: "invalid_argument",
      id: "invalid_input",
      service: "Front",
      api: "run",
    });
  });

  it("let a pipeline degrade through try and catch", async () => {
    await using app = await compose(Front);
    assert.equal(await app.entry.degrade("own"), "degraded: no_such_page in Deep.run");
  });

  it("of a start hook are thrown by compose, and what had started is stopped", async () => {
    const order: string[] = [];
    class Good extends Service() {
      override stop() {
        order.push("good stopped");
      }
      run = api(text, (value) => value);
    }
    class Bad extends Service() {
      good = depends(Good);
      override start() {
        throw new Error("no weights at /models/x");
      }
      run = api(text, (value) => value);
    }
    await assert.rejects(compose(Bad), (error) => {
      assert.ok(error instanceof ServingError);
      assert.equal(error.id, "start_failed");
      assert.match(error.message, /start\(\) threw: no weights at \/models\/x/);
      assert.equal(error.service, "Bad");
      return true;
    });
    assert.deepEqual(order, ["good stopped"]);
  });
});

describe("deadlines and cancellation", () => {
  it("shrink through hops: the shortest wins, and what waits is named", async () => {
    const aborted: string[] = [];
    class Slow extends Service() {
      run = api({ ...text, timeoutMs: 5_000 }, async () => {
        const { signal } = currentCall();
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        aborted.push(signal.reason.code);
        return "late";
      });
    }
    class Front extends Service() {
      slow = depends(Slow, { timeoutMs: 40 });
      run = api(text, async (value) => {
        const before = currentCall().deadline;
        await assert.rejects(this.slow.run(value), { code: "deadline_exceeded", service: "Slow", api: "run" });
        assert.equal(currentCall().deadline, before);
        return "front goes on";
      });
    }
    await using app = await compose(Front);
    assert.equal(await app.entry.run("x"), "front goes on");
    await assert.rejects(app.entry.run("x", { timeoutMs: 15 }), (error) => {
      assert.ok(error instanceof ServingError);
      assert.equal(error.code, "deadline_exceeded");
      assert.deepEqual(error.details["waitingFor"], ["Slow.run"]);
      return true;
    });
    assert.deepEqual(aborted, ["deadline_exceeded", "deadline_exceeded"]);
  });

  it("reach every call below when the caller gives up", async () => {
    const started = createGate();
    const ended = createGate();
    class Leaf extends Service() {
      run = api(text, async () => {
        started.open();
        await new Promise((resolve) => currentCall().signal.addEventListener("abort", resolve));
        ended.open();
        return "";
      });
    }
    class Middle extends Service() {
      leaf = depends(Leaf);
      run = api(text, (value) => this.leaf.run(value));
    }
    class Front extends Service() {
      middle = depends(Middle);
      run = api(text, (value) => this.middle.run(value));
    }
    await using app = await compose(Front);
    const controller = new AbortController();
    const call = app.entry.run("x", { signal: controller.signal });
    await started.opened;
    controller.abort();
    await assert.rejects(call, { code: "cancelled" });
    await ended.opened;
  });

  it("end what an api left behind when it returned; detach lets it outlive its caller", async () => {
    const gate = createGate();
    const seen: string[] = [];
    const finished = createGate();
    class Work extends Service() {
      run = api(text, async (name) => {
        await Promise.race([
          gate.opened,
          new Promise((resolve) => currentCall().signal.addEventListener("abort", resolve)),
        ]);
        seen.push(`${name} ${currentCall().signal.aborted ? "cancelled" : "finished"}`);
        if (name === "kept") finished.open();
        return name;
      });
    }
    class Front extends Service() {
      work = depends(Work);
      run = api(text, () => {
        this.work.run("left").catch(() => {});
        this.work.run("kept", { detach: true }).catch(() => {});
        return "returned";
      });
    }
    await using app = await compose(Front);
    assert.equal(await app.entry.run("x"), "returned");
    gate.open();
    await finished.opened;
    assert.deepEqual(seen, ["left cancelled", "kept finished"]);
  });

  it("drop a queued call without ever running it", async () => {
    const gate = createGate();
    let ran = 0;
    class Narrow extends Service({ maxConcurrent: 1, maxQueued: 1 }) {
      run = api(text, async (value) => {
        ran++;
        await gate.opened;
        return value;
      });
    }
    await using app = await compose(Narrow);
    const first = app.entry.run("first");
    const controller = new AbortController();
    const queued = app.entry.run("queued", { signal: controller.signal });
    await assert.rejects(app.entry.run("too many"), {
      id: "lane_full",
      code: "resource_exhausted",
      service: "Narrow",
      retryable: true,
    });
    controller.abort();
    await assert.rejects(queued, { code: "cancelled" });
    const next = app.entry.run("next");
    gate.open();
    assert.deepEqual([await first, await next, ran], ["first", "next", 2]);
  });
});

describe("currentCall()", () => {
  it("tells each api who called it and belongs to its own call, also between concurrent ones", async () => {
    class Inner extends Service() {
      who = api({ input: z.number(), output: z.string() }, async (n) => {
        await Promise.resolve();
        const call = currentCall();
        return `${n}:${call.caller.service}.${call.caller.api}:${call.requestId}`;
      });
    }
    class Front extends Service() {
      inner = depends(Inner);
      run = api({ input: z.number(), output: z.array(z.string()) }, async (n) => {
        const ids = await Promise.all([this.inner.who(n), this.inner.who(n + 100)]);
        return [currentCall().caller.service, currentCall().requestId, ...ids];
      });
    }
    await using app = await compose(Front);
    const results = await Promise.all([1, 2, 3].map((n) => app.entry.run(n)));
    for (const [i, [caller, id, a, b]] of results.entries()) {
      assert.equal(caller, "local");
      assert.deepEqual([a, b], [`${i + 1}:Front.run:${id}`, `${i + 101}:Front.run:${id}`]);
    }
    assert.equal(new Set(results.map(([, id]) => id)).size, 3);
  });

  it("says so where no api is running", () => {
    assert.throws(() => currentCall(), { id: "no_current_call" });
  });
});

describe("streams", () => {
  let cleanedUp = 0;
  class Counter extends Service() {
    count = api({ input: z.number(), yields: z.number() }, async function* (to) {
      try {
        for (let i = 1; i <= to; i++) {
          if (i === 13) throw new ServingError({ code: "data_loss", message: "item 13" });
          yield i === 7 ? ("seven" as never) : i;
        }
      } finally {
        cleanedUp++;
      }
    });
  }
  class Doubler extends Service() {
    counter = depends(Counter);
    double = api(
      { input: z.number(), yields: z.number() },
      async function* (this: Doubler, to: number) {
        for await (const n of this.counter.count(to)) yield n * 2;
      }.bind(this),
    );
  }

  it("flow through services item by item", async () => {
    await using app = await compose(Doubler);
    const items: number[] = [];
    for await (const item of app.entry.double(5)) items.push(item);
    assert.deepEqual(items, [2, 4, 6, 8, 10]);
  });

  it("end at the producer when the reader stops early", async () => {
    cleanedUp = 0;
    await using app = await compose(Doubler);
    for await (const item of app.entry.double(1000)) if (item === 4) break;
    assert.equal(cleanedUp, 1);
  });

  it("fail for the reader when an item breaks the contract or the producer throws", async () => {
    await using app = await compose(Doubler);
    const items: number[] = [];
    await assert.rejects(
      (async () => {
        for await (const item of app.entry.double(9)) items.push(item);
      })(),
      { id: "invalid_output", service: "Counter", api: "count" },
    );
    assert.deepEqual(items, [2, 4, 6, 8, 10, 12]);
  });

  it("hold their place in the lane until they end", async () => {
    class Narrow extends Service({ maxConcurrent: 1, maxQueued: 0 }) {
      items = api({ yields: z.number() }, async function* () {
        yield 1;
        yield 2;
      });
    }
    await using app = await compose(Narrow);
    const first = app.entry.items()[Symbol.asyncIterator]();
    assert.deepEqual(await first.next(), { done: false, value: 1 });
    await assert.rejects(app.entry.items()[Symbol.asyncIterator]().next(), { id: "lane_full" });
    await first.return?.();
    const next = app.entry.items()[Symbol.asyncIterator]();
    assert.deepEqual(await next.next(), { done: false, value: 1 });
    await next.return?.();
  });

  it("are cancelled by their reader's signal while an item is awaited", async () => {
    class Silent extends Service() {
      never = api({ yields: z.number() }, async function* () {
        await new Promise((resolve) => currentCall().signal.addEventListener("abort", resolve));
        yield 1;
      });
    }
    await using app = await compose(Silent);
    const controller = new AbortController();
    const next = app.entry.never(undefined, { signal: controller.signal })[Symbol.asyncIterator]().next();
    setImmediate(() => controller.abort());
    await assert.rejects(next, { code: "cancelled" });
  });
});

describe("compose()", () => {
  it("replaces services by functions or classes, their contracts still checked", async () => {
    await using app = await compose(Shout, { replace: [[Upper, { upper: async (value: string) => `<${value}>` }]] });
    assert.equal(await app.entry.shout("a"), "<a>!");
    class Whisper extends Service() {
      exclaim = api(text, (value) => `${value}…`);
    }
    await using other = await compose(Shout, {
      replace: [
        [Upper, { upper: () => 5 as never }],
        [Exclaim, Whisper],
      ],
    });
    await assert.rejects(other.entry.shout("a"), { id: "invalid_output", service: "Upper" });
    assert.equal(await other.service(Exclaim).exclaim("a"), "a…");
  });

  it("replaces the interceptors of a class with it, and leaves those of an edge; a direct call has none", async () => {
    class Marked extends Service({ intercept: [async (call) => `${await call.next()}*`] }) {
      say = api({ ...text, idempotent: true, cache: { ttlMs: 60_000 } }, (value) => value);
    }
    class Caller extends Service() {
      marked = depends(Marked, { intercept: [async (call) => `${await call.next()}?`] });
      say = api(text, (value) => this.marked.say(value));
    }
    await using app = await compose(Caller);
    assert.equal(await app.entry.say("a"), "a*?");
    await using other = await compose(Caller, { replace: [[Marked, { say: (value: string) => `<${value}>` }]] });
    assert.equal(await other.entry.say("a"), "<a>?");
    assert.equal(await new Marked().say("a"), "a");
  });

  it("shows a cached api nothing of its callers, unless its key says what it depends on; interceptors see them", async () => {
    const user = () => String((currentCall().context as { user?: string } | undefined)?.user);
    const seen: string[] = [];
    const kept = { output: z.string(), idempotent: true };
    class Below extends Service() {
      user = api({ output: z.string() }, user);
    }
    class Kept extends Service({
      intercept: [
        (call) => {
          seen.push(`${call.api} ${user()}`);
          return call.next();
        },
      ],
    }) {
      below = depends(Below);
      open = api({ ...kept, cache: { ttlMs: 60_000 } }, async () => `${user()}, ${await this.below.user()}`);
      own = api({ ...kept, cache: { ttlMs: 60_000, key: user } }, async () => `${user()}, ${await this.below.user()}`);
      rows = api({ input: z.array(z.string()), output: z.array(z.string()), batch: { maxRows: 4 } }, (rows) => rows);
    }
    let name = "ann";
    await using app = await compose(Kept, { context: () => ({ user: name }) });
    const answers: string[] = [];
    for (name of ["ann", "bob"]) answers.push(await app.entry.open(), await app.entry.own());
    assert.deepEqual(answers, ["undefined, undefined", "ann, ann", "undefined, undefined", "bob, bob"]);
    await app.entry.rows(["x"]);
    assert.deepEqual(seen, ["open ann", "own ann", "open bob", "own bob", "rows bob"]);
  });

  it("says which function a fake lacks", async () => {
    await using app = await compose(Shout, { replace: [[Upper, {}]] });
    await assert.rejects(app.entry.shout("a"), { id: "not_replaced", code: "unimplemented" });
  });

  it("injects failures and delays, and takes them back", async () => {
    await using app = await compose(Shout);
    app.fail(Upper, { times: 1 });
    await assert.rejects(app.entry.shout("a"), { id: "injected_failure", code: "unavailable", service: "Upper" });
    assert.equal(await app.entry.shout("a"), "A!");
    app.fail(Upper, { error: new ServingError({ code: "data_loss", message: "gone" }) });
    await assert.rejects(app.entry.shout("a"), { code: "data_loss" });
    app.clearFaults();
    app.delay(Exclaim, 60_000);
    await assert.rejects(app.entry.shout("a", { timeoutMs: 20 }), { code: "deadline_exceeded" });
  });

  it("kills a replica: calls on it fail, another takes its place", async () => {
    const started = createGate();
    let starts = 0;
    class Model extends Service() {
      override start() {
        starts++;
      }
      run = api(text, async (value) => {
        started.open();
        if (value === "hang") await new Promise((resolve) => currentCall().signal.addEventListener("abort", resolve));
        return value;
      });
    }
    await using app = await compose(Model);
    const hanging = app.entry.run("hang");
    await started.opened;
    const lost = assert.rejects(hanging, {
      id: "replica_lost",
      code: "unavailable",
      service: "Model",
      retryable: true,
    });
    await app.kill(Model);
    await lost;
    assert.deepEqual([await app.entry.run("again"), starts], ["again", 2]);
  });

  it("finishes what was accepted when it closes, and refuses what comes later", async () => {
    const gate = createGate();
    class Model extends Service() {
      run = api(text, async (value) => {
        await gate.opened;
        return value;
      });
    }
    const app = await compose(Model);
    const accepted = app.entry.run("accepted");
    const closed = app.close();
    await assert.rejects(app.entry.run("late"), { code: "unavailable" });
    gate.open();
    assert.equal(await accepted, "accepted");
    await closed;
  });
});

describe("a service made with `new`", () => {
  it("runs its apis in place, checks included", async () => {
    const upper = new Upper();
    assert.equal(await upper.upper("x"), "X");
    await assert.rejects(upper.upper(1 as never), { id: "invalid_input" });
  });

  it("may use its own apis from within one", async () => {
    class Own extends Service() {
      one = api(text, (value) => `${value}1`);
      two = api(text, async (value) => `${await this.one(value)}2`);
    }
    assert.equal(await new Own().two("x"), "x12");
    await using app = await compose(Own);
    assert.equal(await app.entry.two("x"), "x12");
  });
});
