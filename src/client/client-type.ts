import type { Api, apiKey, CallArguments, CallOptions, StreamApi, Task, TaskMethods } from "../define/handle-type.js";
import type { Tensor } from "../define/tensor.js";

/** What may be said about one call from outside. */
export interface ClientCallOptions {
  /** Time for the whole call, or the whole stream, in milliseconds; the server is told. Default: that of `connect()`. */
  readonly timeoutMs?: number;
  /** Cancels the call, also on the server. */
  readonly signal?: AbortSignal;
  /** Where calls wait on the server, a `"background"` one goes after interactive ones. Default `"interactive"`. */
  readonly priority?: NonNullable<CallOptions["priority"]>;
  /** Sent besides those of `connect()`; the same name replaces. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Calls the entry service `T` over HTTP: exactly its apis, streams and tasks. */
export type Client<T> = {
  readonly [K in keyof T as T[K] extends { readonly [apiKey]: unknown } ? K : never]: T[K] extends StreamApi<
    infer I,
    infer O
  >
    ? (...args: CallArguments<I, ClientCallOptions>) => AsyncIterable<Received<O>>
    : T[K] extends Task<infer I, infer O>
      ? TaskMethods<I, O extends Uint8Array ? O : Received<O>, ClientCallOptions>
      : T[K] extends Api<infer I, infer O>
        ? (...args: CallArguments<I, ClientCallOptions>) => Promise<O extends Uint8Array ? O : Received<O>>
        : never;
};

/**
 * What arrives of an output. Tensors and files arrive as such; JSON has no dates, maps, sets, bytes and large integers,
 * so these arrive as it writes them: ISO text, objects, lists, base64, digits.
 */
export type Received<T> = 0 extends 1 & T
  ? T
  : T extends string | number | boolean | null | undefined | Tensor | Blob
    ? T
    : T extends Date | Uint8Array
      ? string
      : T extends bigint
        ? number | string
        : T extends ReadonlyMap<string, infer V>
          ? { [key: string]: Received<V> }
          : T extends ReadonlySet<infer V>
            ? Received<V>[]
            : T extends object
              ? { [K in keyof T]: Received<T[K]> }
              : T;
