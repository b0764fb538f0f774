// Services that suffer every kind of fault. JavaScript, because it starts in a third of the time.
import { existsSync, writeFileSync } from "node:fs";
import { api, depends, Service } from "ekiben";
import { z } from "zod";

const text = { input: z.string(), output: z.string() };

/**
 * Last service of every chain: holds calls that a test ends by name, and the calls of services that must survive the
 * faults of others.
 */
export class Gate extends Service() {
  #reached = new Map();
  #opened = new Map();

  wait = api(text, (name) => {
    namedPromise(this.#reached, name).resolve(name);
    return namedPromise(this.#opened, name).promise;
  });
  reached = api(text, (name) => namedPromise(this.#reached, name).promise);
  open = api(text, (name) => {
    namedPromise(this.#opened, name).resolve(name);
    return name;
  });
  echo = api(text, (value) => value);
  fail = api(text, (value) => failDeepInside(value));
}

function namedPromise(promises, name) {
  let named = promises.get(name);
  if (named === undefined) {
    named = {};
    named.promise = new Promise((resolve) => (named.resolve = resolve));
    promises.set(name, named);
  }
  return named;
}

function failDeepInside(value) {
  throw new TypeError(`no weights for ${value}`);
}

const endings = {
  kill: () => process.kill(process.pid, "SIGKILL"),
  segfault: () => process.kill(process.pid, "SIGSEGV"),
  abort: () => process.abort(),
  exit: () => process.exit(3),
  heap: () => {
    const kept = [];
    for (;;) kept.push(new Array(10_000).fill(kept.length + 0.5));
  },
  // Allocates in steps. In one step, V8 may allocate too much to end a thread in time, and aborts the process
  // (nodejs/node#47224).
  "a heap that grows": () => {
    const kept = [];
    const grow = () => {
      for (let i = 0; i < 1_000; i++) kept.push({ number: i, list: [1, 2, 3] });
      setImmediate(grow);
    };
    grow();
  },
  timer: () => void setTimeout(throwLater, 1, new Error("thrown in a timer")),
  null: () => void setTimeout(throwLater, 1, null),
};

function throwLater(what) {
  throw what;
}

const ending = z.enum(Object.keys(endings));

const place = z.object({ replica: z.string(), process: z.number() });

/** Suffers every kind of fault. */
export class Model extends Service({
  replicas: 2,
  resources: { memory: "256Mi" },
  restart: { backoffMs: 1, maxBackoffMs: 1, giveUpAfter: 0 },
}) {
  gate = depends(Gate);
  #id = "";

  start({ replica }) {
    this.#id = replica.id;
  }

  where = api({ output: place }, () => ({ replica: this.#id, process: process.pid }));
  leaveRejection = api(text, (value) => {
    void Promise.reject(new Error(value));
    return value;
  });
  hold = api(text, async (name) => {
    await this.gate.wait(name);
    return this.#id;
  });
  end = api({ input: ending, output: z.string() }, (how) => this.#end(how));
  /** Ends its replica on its first run, and answers on the next. */
  endOnce = api(
    { input: z.object({ how: ending, marker: z.string() }), output: z.string(), idempotent: true },
    ({ how, marker }) => {
      if (existsSync(marker)) return this.#id;
      writeFileSync(marker, "");
      return this.#end(how);
    },
  );
  // Returned without await, so that this function is not on the stack when the call fails.
  fail = api(text, (value) => this.gate.fail(value));

  #end(how) {
    endings[how]();
    return new Promise(() => {});
  }
}

/** Is killed soon when its event loop is blocked. */
export class Sleeper extends Service({
  replicas: 2,
  liveness: { intervalMs: 50, suspendAfterMs: 1000, replaceAfterMs: 4000 },
}) {
  gate = depends(Gate);
  #id = "";

  start({ replica }) {
    this.#id = replica.id;
  }

  where = api({ output: z.string() }, () => this.#id);
  hold = api(text, async (name) => {
    await this.gate.wait(name);
    return this.#id;
  });
  loop = api({ output: z.string() }, () => {
    for (;;);
  });
}

/** Entry: reaches the gate through the model, two hops away, and directly. */
export class Front extends Service() {
  model = depends(Model);
  gate = depends(Gate);
  sleeper = depends(Sleeper);

  echo = api(text, (value) => this.gate.echo(value));
  open = api(text, (name) => this.gate.open(name));
  /** Answers when a call of `hold` with that name has begun. */
  reached = api(text, (name) => this.gate.reached(name));
  hold = api(text, (name) => this.model.hold(name));
  where = api({ output: place }, () => this.model.where());
  leaveRejection = api(text, (value) => this.model.leaveRejection(value));
  end = api({ input: ending, output: z.string() }, (how) => this.model.end(how));
  endOnce = api({ input: z.object({ how: ending, marker: z.string() }), output: z.string() }, (input) =>
    this.model.endOnce(input),
  );
  fail = api(text, async (value) => await this.model.fail(value));
  whoSleeps = api({ output: z.string() }, () => this.sleeper.where());
  holdSleeper = api(text, (name) => this.sleeper.hold(name));
  loop = api({ output: z.string() }, () => this.sleeper.loop());
}
