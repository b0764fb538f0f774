import { z } from "zod";
import { createDeferred, type Deferred } from "../../src/base/clock.js";
import { api, currentCall, Service, ServingError, stream } from "../../src/index.js";

const Items = z.object({
  items: z.number().max(1e6),
  bytes: z
    .number()
    .int()
    .min(0)
    .max(2 ** 21),
});

/** View of a test on a running `WireService`, with the controls of its calls. */
export class WireControl {
  /** Number of items made by the streams of all calls. */
  produced = 0;
  /** Number of input items that were read. */
  taken = 0;
  /** Number of streams whose `finally` has run. */
  ended = 0;
  /** Reasons of calls that were cancelled while they ran. */
  readonly cancelled: string[] = [];
  readonly started: unknown[] = [];
  readonly #held = new Map<string, Deferred<string>>();

  /** Answer of a held call; made by the first user. */
  hold(key: string): Deferred<string> {
    let held = this.#held.get(key);
    if (held === undefined) this.#held.set(key, (held = createDeferred()));
    return held;
  }

  /** Answers all held calls. */
  release(): void {
    for (const held of this.#held.values()) held.resolve("released");
    this.#held.clear();
  }
}

/** Service for tests of links. Each test makes a class of its own: its calls share the control of the test. */
export function createWireService(control: WireControl) {
  return class Wire extends Service() {
    echo = api({ input: z.any(), output: z.any() }, (value) => value);

    /** Returns what a call may see of itself. */
    about = api({ output: z.any() }, () => {
      const { caller, deadline, requestId, headers, trace } = currentCall();
      return { caller: { ...caller }, deadline, requestId, headers: { ...headers }, traceId: trace.traceId };
    });

    /** Sets the response to its HTTP request. */
    respond = api({ output: z.string() }, () => {
      currentCall().response.status(201);
      currentCall().response.header("x-a", "1");
      return "done";
    });

    /** Sets a header, then yields as many items as it is asked for. */
    respondItems = api({ input: z.number(), yields: z.number() }, async function* (items) {
      currentCall().response.header("x-a", "1");
      for (let i = 0; i < items; i++) yield i;
    });

    /** Answers when the test says so, or is cancelled. */
    hold = api({ input: z.string(), output: z.string() }, (key) => {
      control.started.push(key);
      const { signal } = currentCall();
      const held = control.hold(key);
      signal.addEventListener("abort", () => {
        control.cancelled.push(signal.reason.message);
        held.reject(signal.reason);
      });
      return held.promise;
    });

    /** Answers when the test says so, cancelled or not. */
    stubborn = api({ input: z.string(), output: z.string() }, (key) => control.hold(key).promise);

    /** Runs one call at a time, with one more in its lane. */
    narrow = api({ input: z.string(), output: z.string(), maxConcurrent: 1, maxQueued: 1 }, (key) => {
      control.started.push(key);
      return control.hold(key).promise;
    });

    refuse = api({ output: z.null() }, () => {
      throw new ServingError({ code: "not_found", id: "no_such_page", message: "no page 7", details: { page: 7 } });
    });
    crash = api({ output: z.null() }, () => {
      throw new TypeError("a bug");
    });
    /** Returns more than a frame can hold. */
    huge = api({ output: z.any() }, () => new Uint8Array(new ArrayBuffer(256 * 1024 ** 2)));
    lost = api({ output: z.any() }, () => ({ run: () => {} }));
    file = api({ input: z.any(), output: z.any() }, async (file: Blob) => new Blob([await file.arrayBuffer(), "!"]));

    /** Makes items as fast as they are taken. */
    count = api({ input: Items, yields: z.any() }, async function* ({ items, bytes }) {
      try {
        for (let i = 0; i < items; i++) {
          control.produced++;
          yield bytes === 0 ? i : new Uint8Array(bytes).fill(i);
        }
      } finally {
        control.ended++;
      }
    });

    /** Adds up its input items. */
    sum = api({ input: stream(z.number()), output: z.number() }, async (numbers) => {
      let sum = 0;
      for await (const number of numbers) {
        control.taken++;
        sum += number;
      }
      return sum;
    });

    /** Reads one item at each step of the test: `"<key> 1"` and so on; a key resolved with "enough" ends it. */
    readSlowly = api({ input: stream(z.any()), output: z.number() }, async (items) => {
      let read = 0;
      const iterator = items[Symbol.asyncIterator]();
      try {
        while ((await control.hold(`read ${read + 1}`).promise) !== "enough") {
          if ((await iterator.next()).done === true) break;
          control.taken = ++read;
        }
      } catch (error) {
        control.cancelled.push((error as Error).message);
        throw error;
      }
      await iterator.return?.();
      await control.hold("after reading").promise;
      return read;
    });

    /** Returns the items it receives. */
    through = api({ input: stream(z.any()), yields: z.any() }, (items) => items);

    /** Yields items, then fails. */
    breakAfter = api({ input: z.number(), yields: z.number() }, async function* (items) {
      for (let i = 0; i < items; i++) yield i;
      throw new ServingError({ code: "aborted", id: "broke_off", message: `after ${items} items` });
    });

    /** Yields items, then waits for the test or a cancellation. */
    pause = api({ input: z.string(), yields: z.any() }, async function* (key) {
      const { signal } = currentCall();
      const held = control.hold(key);
      signal.addEventListener("abort", () => held.resolve("cancelled"));
      try {
        yield "first";
        yield await held.promise;
      } finally {
        control.cancelled.push(String(signal.reason?.message));
        control.ended++;
      }
    });

    badItem = api({ yields: z.any() }, async function* () {
      yield 1;
      yield { run: () => {} };
    });
  };
}
