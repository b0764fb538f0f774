import assert from "node:assert/strict";
import { AsyncLocalStorage } from "node:async_hooks";
import { tracingChannel } from "node:diagnostics_channel";
import { describe, it } from "node:test";
import { api, currentCall, depends, Service, ServingError } from "ekiben";
import { compose } from "ekiben/testing";
import { z } from "zod";

const text = { input: z.string(), output: z.string() };

class Model extends Service() {
  run = api(text, async (value) => {
    await Promise.resolve();
    if (value === "bad") throw new ServingError({ code: "not_found", id: "no_such_page", message: "bad" });
    return value.toUpperCase();
  });
  letters = api({ input: z.string(), yields: z.string() }, async function* (value) {
    for (const letter of value) {
      if (letter === "!") throw new ServingError({ code: "aborted", message: "enough" });
      yield letter;
    }
  });
}
class App extends Service() {
  model = depends(Model);
  run = api(text, (value) => this.model.run(value));
  id = api({ output: z.string() }, () => currentCall().trace.traceId);
}

interface CallEvent {
  readonly service: string;
  readonly api: string;
  readonly caller: { readonly service: string; readonly api: string };
  readonly requestId: string;
  readonly traceparent: string;
  readonly outcome?: string;
  readonly error?: { readonly id: string };
}
const channel = tracingChannel<unknown, CallEvent>("ekiben:call");

/** Runs `calls` with a subscriber, and returns what it was told. */
async function trace(calls: () => Promise<unknown>): Promise<{ told: string[]; events: Set<CallEvent> }> {
  const told: string[] = [];
  const events = new Set<CallEvent>();
  const note = (name: string) => (event: CallEvent) => {
    events.add(event);
    told.push(`${name} ${event.service}.${event.api}${event.outcome === undefined ? "" : ` ${event.outcome}`}`);
  };
  const subscribers = {
    start: note("start"),
    end: note("end"),
    asyncStart: note("asyncStart"),
    asyncEnd: note("asyncEnd"),
    error: note("error"),
  };
  channel.subscribe(subscribers as never);
  try {
    await calls();
  } finally {
    channel.unsubscribe(subscribers as never);
  }
  return { told, events };
}

describe("the tracing channel ekiben:call", () => {
  it("tells of each call of an app: who calls what in which request, and how it ended", async () => {
    await using app = await compose(App);
    const { told, events } = await trace(() => app.entry.run("a"));
    assert.deepEqual(told, [
      "start App.run",
      "start Model.run",
      "end Model.run",
      "end App.run",
      "asyncStart Model.run ok",
      "asyncEnd Model.run ok",
      "asyncStart App.run ok",
      "asyncEnd App.run ok",
    ]);
    const [outer, inner] = [...events] as [CallEvent, CallEvent];
    assert.deepEqual(inner.caller, { service: "App", api: "run" });
    assert.equal(outer.requestId, inner.requestId);
    assert.match(inner.traceparent, /^00-[0-9a-f]{32}-[0-9a-f]{16}-/);
  });

  it("tells of a failure", async () => {
    await using app = await compose(Model);
    const { told, events } = await trace(() => assert.rejects(app.entry.run("bad")));
    assert.deepEqual(told.slice(2), [
      "error Model.run not_found",
      "asyncStart Model.run not_found",
      "asyncEnd Model.run not_found",
    ]);
    assert.equal([...events][0]?.error?.id, "no_such_page");
  });

  it("tells of a stream once, from its first item to its end", async () => {
    await using app = await compose(Model);
    const read = async (value: string) => {
      for await (const _ of app.entry.letters(value));
    };
    const { told } = await trace(async () => {
      await read("abc");
      await assert.rejects(read("a!"));
    });
    const begun = ["start Model.letters", "end Model.letters"];
    assert.deepEqual(told, [
      ...begun,
      "asyncStart Model.letters ok",
      "asyncEnd Model.letters ok",
      ...begun,
      "error Model.letters aborted",
      "asyncStart Model.letters aborted",
      "asyncEnd Model.letters aborted",
    ]);
  });

  it("runs the callee in the stores that a tool binds to the start", async () => {
    const spans = new AsyncLocalStorage<string>();
    class Traced extends Service() {
      span = api({ output: z.string() }, async () => {
        await Promise.resolve();
        return spans.getStore() ?? "none";
      });
    }
    await using app = await compose(Traced);
    assert.equal(await app.entry.span(), "none");
    channel.start.bindStore(spans as never, ((event: CallEvent) => `span of ${event.api}`) as never);
    assert.equal(await app.entry.span(), "span of span");
    channel.start.unbindStore(spans as never);
  });

  it("makes no event without a subscriber", async () => {
    await using app = await compose(App);
    const { told } = await trace(async () => {});
    await app.entry.run("a");
    assert.deepEqual(told, []);
    assert.equal(channel.hasSubscribers, false);
  });
});
