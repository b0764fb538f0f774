import type { Api, apiKey, CallArguments, CallOptions, StreamApi, Task, TaskMethods } from "../define/handle-type.js";
import type { Tensor } from "../define/tensor.js";

/** Options of one call by a client. */
export interface ClientCallOptions {
  /**
   * Time for the whole call or the whole stream, in milliseconds; also sent to the server. Default: the time of
   * `connect()`.
   */
  readonly timeoutMs?: number;
  /** Cancels the call, also on the server. */
  readonly signal?: AbortSignal;
  /**
   * Priority of a call that waits on the server: a `"background"` call goes after interactive ones. Default
   * `"interactive"`.
   */
  readonly priority?: NonNullable<CallOptions["priority"]>;
  /** Headers sent besides the headers of `connect()`; the same name replaces. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Most further attempts after a failure that allows one. Default: that of `connect()`. */
  readonly retries?: number;
  /**
   * True for a request that a browser sends even when its page is being closed (`keepalive` of `fetch`). Browsers limit
   * the bodies of all such requests to 64 KiB together. Default: false.
   */
  readonly keepalive?: boolean;
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
 * Type of an output as the client receives it. Tensors and files arrive as such. JSON has no dates, maps, sets, bytes
 * and large integers: these arrive as ISO text, objects, lists, base64 and digits.
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
