import { createDeferred } from "../../src/base/clock.js";
import { CallInput, type Priority, RequestContext } from "../../src/call/call.js";
import { CallScope, type CallTime, createCallTime } from "../../src/call/call-scope.js";
import { CallerInput } from "../../src/call/streams/caller-input.js";
import { FakeClock } from "../fake-clock.js";

/** Time that stands still. */
export const stillTime: CallTime = createCallTime(new FakeClock());

/** Fields of a call that a test may set. */
export interface CallWish {
  readonly service?: string;
  readonly deadline?: number;
  readonly time?: CallTime;
  readonly request?: RequestContext;
  /** Input stream, when the input is one. */
  readonly items?: AsyncIterable<unknown> | Iterable<unknown>;
  readonly priority?: Priority;
  /** Service of the caller. Default `"Caller"`. */
  readonly from?: string;
}

/** Call as a handle makes it, before it is given to a link. */
export interface OpenCall {
  readonly scope: CallScope;
  /** Settles when the call is answered. */
  readonly answer: Promise<unknown>;
  /** Answers so far. */
  readonly count: () => number;
}

/** Opens the scope of a call. The code that waits for the answer closes it, as a handle does. */
export function openCall(api: string, input: unknown = null, wish: CallWish = {}): OpenCall {
  const { service = "Wire", deadline = Number.POSITIVE_INFINITY, time = stillTime, priority = "interactive" } = wish;
  const request = wish.request ?? new RequestContext();
  const caller = { service: wish.from ?? "Caller", api: "ask" };
  const call = { service, api, deadline, caller, request, outside: false, priority };
  const scope = new CallScope(call, undefined, time, time.clock.now(), new CallInput(input, false));
  if (wish.items !== undefined) scope.input.useStream(new CallerInput(scope, wish.items));
  const { promise, resolve, reject } = createDeferred<unknown>();
  let answers = 0;
  scope.awaitReply({
    output: (value) => {
      answers++;
      scope.close();
      resolve(value);
    },
    failure: (error) => {
      answers++;
      scope.close();
      reject(error);
    },
  });
  // A test that wants the failure awaits it; in other tests it must not end the process.
  promise.catch(() => {});
  return { scope, answer: promise, count: () => answers };
}
