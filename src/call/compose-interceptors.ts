import { isPromiseLike } from "../base/promised-input.js";
import { fail } from "../failure/failures.js";
import type { CallScope } from "./call-scope.js";
import { holdValue } from "./copy-value.js";
import { type ApiTarget, currentScope, isNative, runInScope, toNative } from "./invoke.js";

// Interceptors: functions of an author around the calls of an api.
//
// IN1  The first interceptor of a list is the outermost. Each decides whether, with which input and how often the rest
//      runs, and what the answer is.
// IN2  The chain of an api is composed once, when the api is set up. An api without interceptors has none.
// IN3  `next` of an api with one answer always gives a promise, `next` of a stream always an iterable, whatever the
//      rest returns or throws. A promise of `next` that nobody reads is no unhandled rejection.
// IN4  A value that `next` gives belongs to the interceptor: the author's function may reuse its own memory meanwhile.
// IN5  Nothing runs below a call that has ended.

/** A call as an interceptor gets it. Authors see its types in `define/interceptor.ts`. */
interface RawCall extends InterceptedPlace {
  readonly input: unknown;
  /** Runs the rest. Without an argument it gets the same input. */
  readonly next: (...input: [input?: unknown]) => unknown;
}

/** Function of an author around a call. It knows the types of the calls that it gets. */
export type RawInterceptor = (call: any) => unknown;

/** Kind of an intercepted call; `submit` stores a task, `task` waits for one or runs an attempt of it. */
export type InterceptedKind = "unary" | "stream" | "task" | "submit";

/** Names of an intercepted call, the same for all calls of an api. */
interface InterceptedPlace {
  readonly service: string;
  readonly api: string;
  readonly kind: InterceptedKind;
}

/** Runs `run` inside the interceptors of one api. */
export type InterceptorChain = (input: unknown, run: (input: unknown) => unknown) => unknown;

/** Composes interceptors, the first outermost. @returns `undefined` for none. */
export function composeInterceptors(
  interceptors: readonly RawInterceptor[],
  place: InterceptedPlace,
): InterceptorChain | undefined {
  if (interceptors.length === 0) return undefined;
  const follow = place.kind === "stream" ? openRest : startRest;
  return interceptors.reduceRight<InterceptorChain>(
    (rest, interceptor) => (input, run) => {
      const next = (...given: [input?: unknown]) => follow(() => rest(given.length === 0 ? input : given[0], run));
      const call: RawCall = { ...place, input, next };
      return interceptor(call);
    },
    (input, run) => run(input),
  );
}

/**
 * Returns the function of an api that gets calls, inside its interceptors. They run where the function would: after the
 * check of the input, before that of the output, in the scope of the call.
 *
 * @param isOwned True when nobody else has what `run` gives (IN4): it needs no copy. Default: false.
 */
export function interceptRun(
  chain: InterceptorChain,
  kind: ApiTarget["kind"],
  run: ApiTarget["run"],
  isOwned = false,
): ApiTarget["run"] {
  if (kind === "stream") return (input) => toItems(chain(input, enter(currentScope(), run)));
  const rest: ApiTarget["run"] = isOwned ? run : (input) => own(toNative(run(input)));
  return (input) => chain(input, enter(currentScope(), rest));
}

/** Lets `run` run in the scope of its call, from whatever context an interceptor calls it. */
function enter(scope: CallScope | undefined, run: ApiTarget["run"]): ApiTarget["run"] {
  return (input) => {
    if (scope?.isEnded) throw scope.reason ?? fail("cancelled", { reason: "its call has already been answered" });
    return runInScope(scope, run, input);
  };
}

const own = (output: unknown): unknown => (isNative(output) ? output.then(holdValue) : holdValue(output));

function startRest(run: () => unknown): Promise<unknown> {
  let started: Promise<unknown>;
  try {
    started = Promise.resolve(run());
  } catch (error) {
    started = Promise.reject(error);
  }
  started.then(undefined, ignore);
  return started;
}

const openRest = (run: () => unknown): unknown => toItems(run());

/** Returns the items of a stream, also where they are promised. */
function toItems(stream: unknown): unknown {
  if (!isPromiseLike(stream)) return stream;
  const opened = Promise.resolve(stream) as Promise<AsyncIterable<unknown>>;
  opened.then(undefined, ignore);
  return readLater(opened);
}

async function* readLater(opened: Promise<AsyncIterable<unknown>>): AsyncGenerator<unknown, void, undefined> {
  yield* await opened;
}

const ignore = (): void => {};
