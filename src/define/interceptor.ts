import type { InterceptedKind, RawInterceptor } from "../call/compose-interceptors.js";
import type { Api, Handle, Inside, MaybePromise, StreamApi, Task } from "./handle-type.js";

/** Call of api `Name` on its way, as an interceptor gets it. */
interface CallOf<Name extends string, Kind extends InterceptedKind, I, Result> {
  /** Name of the service that is called. */
  readonly service: string;
  /** Name of the api that is called; `"train:submit"` where a caller submits the task `train`. */
  readonly api: Name;
  readonly kind: Kind;
  readonly input: I;
  /**
   * Runs the other interceptors and the api. Without an argument they get `input`. It may be called again, to try
   * again, or not at all: then the interceptor itself answers.
   */
  readonly next: (input?: I) => Result;
}

/** Any call, for interceptors that serve many services. */
type AnyCall = AnyCallOf<"stream", AsyncIterable<any>> | AnyCallOf<Exclude<InterceptedKind, "stream">, Promise<any>>;

interface AnyCallOf<Kind extends InterceptedKind, Result> extends Omit<CallOf<string, Kind, unknown, Result>, "next"> {
  readonly next: (input?: any) => Result;
}

type ApiName<T> = keyof Handle<T> & string;

/** Types that the api itself sees: its checked input, and its output before the check. */
type InputInside<F, I> = F extends Inside<infer Checked, any> ? Checked : I;
type OutputInside<F, O> = F extends Inside<any, infer Given> ? Given : O;

type IncomingOf<Name extends string, F> =
  F extends StreamApi<infer I, infer O>
    ? CallOf<Name, "stream", InputInside<F, I>, AsyncIterable<OutputInside<F, O>>>
    : F extends Task<infer I, infer O>
      ? CallOf<Name, "task", InputInside<F, I>, Promise<OutputInside<F, O>>>
      : F extends Api<infer I, infer O>
        ? CallOf<Name, "unary", InputInside<F, I>, Promise<OutputInside<F, O>>>
        : never;

type OutgoingOf<Name extends string, F> =
  F extends StreamApi<infer I, infer O>
    ? CallOf<Name, "stream", I, AsyncIterable<O>>
    : F extends Task<infer I, infer O>
      ? CallOf<Name, "task", I, Promise<O>> | CallOf<`${Name}:submit`, "submit", I, Promise<{ readonly id: string }>>
      : F extends Api<infer I, infer O>
        ? CallOf<Name, "unary", I, Promise<O>>
        : never;

/**
 * Call of service `T` as its own interceptors get it: one type for each api, told apart by `api`. Without `T`, a call
 * of any service.
 */
export type IncomingCall<T = any> = 0 extends 1 & T ? AnyCall : { [K in ApiName<T>]: IncomingOf<K, T[K]> }[ApiName<T>];

/** Call of service `T` as the interceptors of one of its callers get it. Without `T`, a call of any service. */
export type OutgoingCall<T = any> = 0 extends 1 & T ? AnyCall : { [K in ApiName<T>]: OutgoingOf<K, T[K]> }[ApiName<T>];

type ResultOf<Call> = Call extends { readonly next: (input?: never) => infer Result } ? Result : never;

/**
 * Function around the calls that service `T` gets: of its apis and streams, and of the attempts of its tasks.
 *
 * It returns the answer: `call.next()` passes the call on. Without `T`, it fits any service, on both sides of a call.
 */
export type Interceptor<T = any> = 0 extends 1 & T
  ? (call: AnyCall) => any
  : (call: IncomingCall<T>) => MaybePromise<Awaited<ResultOf<IncomingCall<T>>>>;

/** Function around the calls that one caller makes to service `T`; see `depends()`. */
export type EdgeInterceptor<T = any> = 0 extends 1 & T
  ? (call: AnyCall) => any
  : (call: OutgoingCall<T>) => MaybePromise<Awaited<ResultOf<OutgoingCall<T>>>>;

/** Returns the problem of a list of interceptors as its author wrote it; `undefined` for a valid list, or for none. */
export function interceptProblem(list: unknown): string | undefined {
  if (list === undefined) return undefined;
  if (!Array.isArray(list)) return `intercept is ${formatKind(list)}, not a list of functions`;
  const at = list.findIndex((item) => typeof item !== "function");
  return at < 0 ? undefined : `intercept[${at}] is ${formatKind(list[at])}, not a function`;
}

function formatKind(value: unknown): string {
  if (value === undefined) return "undefined (do two files import each other?)";
  return value === null ? "null" : `a ${typeof value}`;
}

interface Intercepted {
  readonly intercept?: unknown;
}

/** Lists the interceptors of a service, those of `Service()` before those of its field. They have no problem. */
export function listInterceptors(options: Intercepted, instance: object): readonly RawInterceptor[] {
  const lists = [options.intercept, (instance as Intercepted).intercept];
  return lists.flatMap((list) => (list ?? []) as readonly RawInterceptor[]);
}
