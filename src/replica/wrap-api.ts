import { CallScope, type ReplySink } from "../call/call-scope.js";
import { type InterceptorChain, interceptRun } from "../call/compose-interceptors.js";
import { holdValue } from "../call/copy-value.js";
import { type ApiTarget, currentScope, type InvokeSink, invoke } from "../call/invoke.js";
import { type ServingError, unreachable } from "../failure/serving-error.js";
import type { BeginRun } from "./answer-cache.js";
import { type CallHost, type CallToServe, type ReplicaApi, reportFailure } from "./call-host.js";
import { endCall, serveInside } from "./serve-call.js";

// An api with more than a function: interceptors, a cache, or both.
//
// WA1  Interceptors are outermost: they see each call, whatever answers it. The cache is below them, and below it the
//      lane or the batch.
// WA2  A call of an api with a cache holds no lane slot, so that a kept answer needs none. Nor does one of an api that
//      batches. The runs below hold slots, or wait for a batch.
// WA3  The input of a call is checked once, before all of this. Its output is checked once after the interceptors;
//      below a cache it is checked once a run, so that a wrong answer is not kept.

/** Answers of an api that are kept or being made. */
interface Answers {
  answer(input: unknown, scope: CallScope): unknown;
}

/** Parts that an api may have beside its function. An api without them is not wrapped, and pays nothing. */
export interface ApiLayers {
  readonly chain: InterceptorChain | undefined;
  /** Makes the cache, of which `begin` begins the runs. */
  readonly createCache: ((begin: BeginRun) => Answers) | undefined;
}

/** Adds interceptors and a cache to an api. Done once, when the api is set up. */
export function wrapApi(replica: CallHost, api: ReplicaApi, { chain, createCache }: ApiLayers): ReplicaApi {
  const { target } = api;
  const { run, kind, checkOutput } = target;
  if (createCache === undefined) {
    if (chain === undefined) return api;
    if (api.batcher === undefined) return { ...api, target: { ...target, run: interceptRun(chain, kind, run) } };
  }
  const isKept = createCache !== undefined;
  const checkInside = chain === undefined ? checkOutput : isKept ? createTest(checkOutput) : keep;
  const inner: ReplicaApi = { ...api, target: { ...target, checkInput: keep, checkOutput: checkInside } };
  const answers = createCache?.((scope, input, reply) => {
    const own = describing(
      (value) => reply.output(value),
      (error) => reply.failure(error),
    );
    serveInside({ replica, scope, input, reply: own, api: inner });
  });
  const answer = answers === undefined ? createRun(replica, inner) : (input: unknown) => answers.answer(input, below());
  const outer: ApiTarget = {
    ...target,
    // Answers below are copies already: of a kept one, or of what a run gave.
    run: chain === undefined ? answer : interceptRun(chain, kind, answer, true),
    checkOutput: chain === undefined ? keep : checkOutput,
  };
  return { ...api, serve: (call) => serveWithoutSlot(call, outer) };
}

const keep = (value: unknown): unknown => value;

/** The call in whose context this runs. */
const below = (): CallScope => currentScope() ?? unreachable("a run of an api belongs to no call");

/** Creates a check that refuses what `check` refuses, and gives other values back as they are. */
function createTest(check: ApiTarget["checkOutput"]): ApiTarget["checkOutput"] {
  return (value, input) => {
    const checked = check(value, input);
    if (!(checked instanceof Promise)) return value;
    const held = holdValue(value);
    return checked.then(() => held);
  };
}

/** Creates the function that runs an api in a call of its own, below the running one. */
function createRun(replica: CallHost, api: ReplicaApi): ApiTarget["run"] {
  return (input) =>
    new Promise((resolve, reject) => {
      const parent = below();
      const scope = new CallScope(parent.call, parent, parent.time, parent.time.clock.now());
      scope.runBy(replica.deps);
      const reply = describing((value) => {
        try {
          resolve(holdValue(value));
        } catch (error) {
          // It can't be copied. A reply never throws: the call would have no answer.
          reject(error);
        }
      }, reject);
      serveInside({ replica, scope, input, reply, api });
    });
}

/** Failures of runs. They were logged with the run, and are not logged again with the calls that get them. */
const described = new WeakSet<object>();

const describing = (output: ReplySink["output"], failure: ReplySink["failure"]): ReplySink => ({
  output,
  failure: (error) => {
    described.add(error);
    failure(error);
  },
});

/** Serves a call that holds no lane slot. Ends the scope; never throws. */
function serveWithoutSlot(call: CallToServe, target: ApiTarget): void {
  const { turns, clock } = call.scope.time;
  const before = turns.spentMs;
  const from = clock.now();
  invoke(target, call.input, call.scope, true, new SlotlessCall(call));
  turns.count(before, clock.now() - from);
}

class SlotlessCall implements InvokeSink {
  readonly #call: CallToServe;

  constructor(call: CallToServe) {
    this.#call = call;
  }

  output(output: unknown): void {
    const { replica, scope, reply } = this.#call;
    endCall(replica, scope);
    reply.output(output);
  }

  failure(thrown: unknown): void {
    const { replica, scope, reply } = this.#call;
    const isDescribed = typeof thrown === "object" && thrown !== null && described.has(thrown);
    const error = isDescribed ? (thrown as ServingError) : reportFailure(thrown, scope);
    endCall(replica, scope);
    reply.failure(error);
  }
}
