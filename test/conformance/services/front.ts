import { api, currentCall, depends, Service, ServingError, stream } from "ekiben";
import { z } from "zod";
import { formatValue } from "../describe-value.js";
import { Batched } from "./batched.js";
import { Blocker } from "./blocker.js";
import { Chores } from "./chores.js";
import { createSpoilable, Echo } from "./echo.js";
import { Faulty } from "./faulty.js";
import { Guarded } from "./guarded.js";
import { Keeper } from "./keeper.js";
import { Middle, relayed } from "./middle.js";
import { Pair } from "./pair.js";
import { Reuser } from "./reuser.js";
import { Sink } from "./sink.js";
import { Source } from "./source.js";
import { readCall, Work } from "./work.js";

const anything = z.any();
const name = { input: z.string(), output: z.string() };

/**
 * Entry of the graph that every placement runs: Front → Batched, Middle → Echo, Work, Source, Faulty; Source → Work.
 */
export class Front extends Service() {
  chores = depends(Chores);
  batched = depends(Batched);
  blocker = depends(Blocker);
  echo = depends(Echo);
  faulty = depends(Faulty);
  middle = depends(Middle);
  pair = depends(Pair);
  reuser = depends(Reuser);
  sink = depends(Sink);
  source = depends(Source);
  work = depends(Work);
  hurried = depends(Work, { timeoutMs: 150 });
  keeper = depends(Keeper);
  watched = depends(Faulty, {
    intercept: [
      async (call) => {
        await this.work.note(`attempt with ${(call.input as { file: string }).file}`);
        return call.next();
      },
    ],
  });
  guarded = depends(Guarded, {
    intercept: [
      async (call) => {
        await this.work.note(`${call.api} ${call.kind} ${call.input} at the edge`);
        if (call.kind === "stream") return markItems(call.next());
        const answer = await call.next();
        return typeof answer === "string" ? `first(${answer})` : answer;
      },
      async (call) => {
        if (call.kind === "stream") return call.next();
        const answer = await call.next();
        return typeof answer === "string" && call.kind === "unary" ? `second(${answer})` : answer;
      },
    ],
  });

  override async start(): Promise<void> {
    await this.work.noteStart("Front");
  }

  relay = api({ input: relayed, output: anything }, (call) => this.middle.relay(call));
  relayDetached = api({ input: relayed, output: anything }, (call) => this.middle.relay(call, { detach: true }));
  relayFirst = api({ input: relayed, output: anything }, (call) =>
    this.middle.relay(call, { priority: "interactive" }),
  );
  relayItems = api({ input: relayed, yields: anything }, (call) => this.middle.relayItems(call));
  rereadItems = api({ input: relayed, yields: anything }, (call) => this.middle.rereadItems(call));

  passConsume = api({ input: stream(anything), output: anything }, (items) => this.middle.passConsume(items));
  rereadConsume = api({ input: stream(anything), output: anything }, (items) => this.middle.rereadConsume(items));
  passBoth = api({ input: stream(anything), yields: anything }, (items) => this.middle.passBoth(items));
  rereadBoth = api({ input: stream(anything), yields: anything }, (items) => this.middle.rereadBoth(items));

  calls = api({ output: anything }, async () => [readCall(), ...(await this.middle.calls())]);
  hurry = api(name, (call) => this.hurried.hold(call));
  /** Uses two handles in one api: a change made by one callee does not reach the other. */
  spoilTwice = api({ output: z.string() }, async () => {
    const value = createSpoilable();
    await Promise.all([this.echo.spoil(value), this.middle.spoil(value), this.echo.spoil(value)]);
    return formatValue(value);
  });
  degrade = api(name, async (kind) => {
    try {
      return await this.middle.relay({ to: "faulty", api: "fail", input: kind });
    } catch (error) {
      if (!(error instanceof ServingError)) return `not a ServingError: ${error}`;
      return `degraded: ${error.code} ${error.id} in ${error.service}.${error.api}`;
    }
  });

  /** Returns while a call that it made is still held. */
  leave = api(name, async (call) => {
    this.work.hold(call).catch(() => {});
    await this.work.seen(`${call} begun`);
    return "left";
  });
  /** Throws while a call that it made is still held. */
  leaveByError = api(name, async (call) => {
    this.work.hold(call).catch(() => {});
    await this.work.seen(`${call} begun`);
    throw new ServingError({ code: "aborted", message: "left" });
  });
  leaveDetached = api(name, async (call) => {
    this.work.hold(call, { detach: true }).catch(() => {});
    await this.work.seen(`${call} begun`);
    return "left";
  });
  detachedCall = api({ output: anything }, async () => ({
    own: readCall(),
    attached: await this.work.call(),
    detached: await this.work.call(undefined, { detach: true }),
  }));
  /** Stops reading a stream after its first item. */
  leaveStream = api(name, async (stream) => {
    await this.source.stall(stream)[Symbol.asyncIterator]().next();
    return "left";
  });
  /** Cancels one of its own calls, and continues. */
  cancelOne = api(name, async (call) => {
    const controller = new AbortController();
    const held = this.work.hold(call, { signal: controller.signal });
    await this.work.seen(`${call} begun`);
    controller.abort();
    const outcome = await held.catch((error: ServingError) => error.code);
    return `${outcome}, and the caller's own signal is ${currentCall().signal.aborted ? "aborted" : "not aborted"}`;
  });

  guard = api(name, (text) => this.guarded.say(text));
  guardAttempt = api({ input: anything, output: z.string() }, (call) => this.watched.attempt(call));
  guardWords = api({ input: z.string(), yields: z.string() }, (text) => this.guarded.words(text));
  guardChore = api(name, async (text) => {
    const { id } = await this.guarded.chore.submit(text);
    return this.guarded.chore.result(id);
  });
  /** Changes the list that it has passed, before an interceptor has passed it on. */
  guardMutated = api({ output: z.array(z.string()) }, async () => {
    const rows = ["a", "b"];
    const answer = this.guarded.shout(rows);
    rows.push("c");
    return answer;
  });

  nested = api(name, (text) => this.work.upper(this.middle.upper(this.work.upper(text))));
  /** Passes a promise that rejects as an argument. */
  nestedFailure = api(name, async (kind) => {
    const argument = this.faulty.fail(kind) as Promise<string>;
    const error = (await this.work.upper(argument).catch((thrown: unknown) => thrown)) as ServingError;
    return `${error.id} in ${error.service}.${error.api}`;
  });
  fanIn = api({ input: z.array(z.string()), output: z.string() }, async (texts) => {
    const parts = await Promise.all(texts.map((text, i) => (i % 2 === 0 ? this.work : this.middle).upper(text)));
    return parts.join("");
  });
  chore = api(name, (text) => this.chores.upper(text));
  choreCalls = api({ output: anything }, async () => [readCall(), await this.chores.call()]);
  pairOfPair = api({ output: anything }, () => this.pair.who());
  instanceOfFaulty = api({ output: z.string() }, () => this.faulty.instance());
}

async function* markItems(items: AsyncIterable<string>) {
  for await (const item of items) yield `edge(${item})`;
}
