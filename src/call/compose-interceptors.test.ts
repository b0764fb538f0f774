import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { RequestContext } from "./call.js";
import { CallScope, systemTime } from "./call-scope.js";
import {
  composeInterceptors,
  type InterceptorChain,
  interceptRun,
  type RawInterceptor,
} from "./compose-interceptors.js";
import { currentScope, runInScope } from "./invoke.js";

const compose = (kind: "unary" | "stream", ...interceptors: RawInterceptor[]) =>
  composeInterceptors(interceptors, { service: "Model", api: "say", kind }) as InterceptorChain;

/** Adds a name around the answer. */
const around =
  (name: string): RawInterceptor =>
  async (call) =>
    `${name}(${await call.next()})`;

function openScope(): CallScope {
  const call = {
    service: "Model",
    api: "say",
    deadline: Number.POSITIVE_INFINITY,
    caller: { service: "local", api: "" },
    request: new RequestContext(),
    outside: false,
    priority: "interactive" as const,
  };
  return new CallScope(call, undefined, systemTime, 0);
}

async function collect(items: unknown): Promise<unknown[]> {
  const list: unknown[] = [];
  for await (const item of items as AsyncIterable<unknown>) list.push(item);
  return list;
}

describe("interceptors of an api", () => {
  it("are none where the list is empty (IN2)", () => {
    assert.equal(composeInterceptors([], { service: "Model", api: "say", kind: "unary" }), undefined);
  });

  it("run in order, the first outermost, and each sees the call (IN1)", async () => {
    const seen: unknown[] = [];
    const look: RawInterceptor = ({ next, ...call }) => {
      seen.push(call);
      return next(`${call.input}!`);
    };
    const chain = compose("unary", around("a"), look, around("b"), look);
    assert.equal(await chain("x", (input) => input), "a(b(x!!))");
    const place = { service: "Model", api: "say", kind: "unary" };
    assert.deepEqual(seen, [
      { ...place, input: "x" },
      { ...place, input: "x!" },
    ]);
  });

  it("may answer without the rest, run it again, and give it undefined (IN1)", async () => {
    const inputs: unknown[] = [];
    const run = (input: unknown) => inputs.push(input);
    assert.equal(await compose("unary", () => "kept")("x", run), "kept");
    const again = compose("unary", async ({ next }) => [await next(), await next(), await next(undefined)]);
    assert.deepEqual(await again("x", run), [1, 2, 3]);
    assert.deepEqual(inputs, ["x", "x", undefined]);
  });

  it("get a promise from next, whatever the rest returns or throws (IN3)", async () => {
    const thrown = new RangeError("out");
    const chain = compose("unary", ({ next }) => (next() as Promise<unknown>).catch((error: unknown) => ({ error })));
    assert.equal(await chain("x", (input) => input), "x");
    const failing = () => {
      throw thrown;
    };
    assert.deepEqual(await chain("x", failing), { error: thrown });
  });

  it("may leave a promise of next unread, which ends no process (IN3)", async () => {
    const unhandled: unknown[] = [];
    const note = (error: unknown) => unhandled.push(error);
    process.on("unhandledRejection", note);
    const chain = compose("unary", ({ next }) => {
      next();
      return "answered";
    });
    assert.equal(await chain("x", () => Promise.reject(new Error("unread"))), "answered");
    await new Promise((resolve) => setImmediate(resolve));
    process.off("unhandledRejection", note);
    assert.deepEqual(unhandled, []);
  });

  it("get items from next of a stream, also where the rest promises them (IN3)", async () => {
    const later: RawInterceptor = async ({ next }) => next();
    const upper: RawInterceptor = async function* ({ next }) {
      for await (const item of next() as AsyncIterable<string>) yield item.toUpperCase();
    };
    const run = async function* () {
      yield* ["a", "b"];
    };
    const stream = interceptRun(compose("stream", later, upper, later), "stream", run);
    assert.deepEqual(await collect(stream("x")), ["A", "B"]);
    const refusing = interceptRun(
      compose("stream", () => Promise.reject(new RangeError("no"))),
      "stream",
      run,
    );
    await assert.rejects(collect(refusing("x")), RangeError);
  });

  it("own what next gives them: the author's function may use its memory again (IN4)", async () => {
    const memory = { text: "first" };
    const chain = compose("unary", async ({ next }) => {
      const output = await next();
      memory.text = "second";
      return output;
    });
    assert.deepEqual(await interceptRun(chain, "unary", () => memory)("x"), { text: "first" });
    memory.text = "first";
    const owned = interceptRun(chain, "unary", () => memory, true);
    assert.deepEqual(await owned("x"), { text: "second" }, "what nobody else has is not copied");
    memory.text = "first";
    assert.deepEqual(await interceptRun(chain, "unary", async () => memory)("x"), { text: "first" });
  });

  it("run the api in its call, from whatever context, and never below a call that has ended (IN5)", async () => {
    const scope = openScope();
    let late: (() => unknown) | undefined;
    const chain = compose("unary", ({ next }) => {
      late = next;
      return runInScope(undefined, () => next(), undefined);
    });
    const run = interceptRun(chain, "unary", () => currentScope() === scope);
    assert.equal(await runInScope(scope, run, "x"), true);
    scope.close();
    await assert.rejects(async () => late?.(), { id: "cancelled" });
  });
});
