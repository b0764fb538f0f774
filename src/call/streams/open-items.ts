import { isPromiseLike } from "../invoke.js";
import { lastStep } from "./item-feed.js";
import { takeForeign, takeItems } from "./stream-use.js";

/**
 * The iterator of a stream, as `for await` would read it: of an ordinary iterable, items that are promises are waited for.
 *
 * @param use What becomes of the stream: `"given to Sink.sum"`.
 * @throws {ServingError} `stream_used_twice` where it, or the generator it is, is used already.
 */
export function openItems(source: AsyncIterable<unknown> | Iterable<unknown>, use: string): AsyncIterator<unknown> {
  if (Symbol.asyncIterator in source) return takeItems(source, use);
  const items = source[Symbol.iterator]();
  takeForeign(items, source, use);
  return {
    next: () => {
      try {
        return toStep(items.next());
      } catch (error) {
        return Promise.reject(error);
      }
    },
    return: async () => {
      items.return?.();
      return lastStep;
    },
  };
}

/** An item that is there is given on in the next turn, not some turns later: its maker may change it then. */
function toStep(step: IteratorResult<unknown, unknown>): Promise<IteratorResult<unknown, undefined>> {
  if (step.done === true) return Promise.resolve(lastStep);
  const { value } = step;
  if (!isPromiseLike(value)) return Promise.resolve({ done: false, value });
  return Promise.resolve(value).then((settled) => ({ done: false, value: settled }));
}

/** Why a value can't be read as a stream of items; `undefined` when it can. */
export function streamProblem(value: unknown): string | undefined {
  if (isIterable(value)) return undefined;
  return `expected a stream of items (an AsyncIterable or Iterable), got ${describe(value)}`;
}

/** A text and an array of bytes can be iterated too, but whoever passes one means one item. */
const isIterable = (value: unknown): value is AsyncIterable<unknown> | Iterable<unknown> =>
  typeof value === "object" &&
  value !== null &&
  !ArrayBuffer.isView(value) &&
  (typeof (value as AsyncIterable<unknown>)[Symbol.asyncIterator] === "function" ||
    typeof (value as Iterable<unknown>)[Symbol.iterator] === "function");

function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === "string" || ArrayBuffer.isView(value)) {
    return `a single ${typeof value === "string" ? "text" : (value as object).constructor.name}: put it into a list`;
  }
  return `${typeof value === "object" ? "an" : "a"} ${typeof value}`;
}
