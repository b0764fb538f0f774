import { randomBytes } from "node:crypto";
import { ServingError } from "../../failure/serving-error.js";
import { copyError, toServingError } from "../../failure/to-serving-error.js";
import type { CallScope } from "../call-scope.js";
import { currentScope, runFor, runInScope } from "../invoke.js";
import { settlePromises } from "../value-walk.js";
import { openItems } from "./item-reader.js";
import {
  type InputReader,
  type InputStream,
  type ItemSink,
  type ItemSource,
  isLastStep,
  lastStep,
  type PassableStream,
  readPassable,
} from "./item-source.js";
import { nameInput, onceKey, StreamUse } from "./stream-use.js";

// The items that a caller passes to a call whose input is a stream.
//
// SI1  The producer runs in its caller's scope, wherever the callee is, and only when an item is asked for.
// SI2  It ends once: by itself, by an error it throws, or by `stop`, which runs its `return()`. Afterwards it is asked
//      for nothing more.
// SI3  It ends with the call at the latest, in whatever way that ends.

type Step = IteratorResult<unknown, undefined>;
type Source = AsyncIterable<unknown> | Iterable<unknown>;

/**
 * Items of one call, pulled from its caller's iterable. It is a stream itself, for a callee that is called without a
 * link.
 */
export class CallerInput implements InputStream, AsyncIterableIterator<unknown> {
  readonly #scope: CallScope;
  /** Scope of the caller; absent for a program that calls from outside any api. */
  readonly #callerScope = currentScope();
  readonly #items: AsyncIterator<unknown>;
  readonly #passable: PassableStream | undefined;
  readonly [onceKey] = new StreamUse(() => nameInput(this.#scope));
  /** Source of a stream that is passed on unread. */
  #source: ItemSource | undefined;
  #isTaken = false;
  #isEnded = false;

  /**
   * @param scope Scope of the call that gets the items.
   * @param source Checked to be iterable. Throws `stream_used_twice`, and any error of its own iterator function.
   */
  constructor(scope: CallScope, source: Source) {
    this.#scope = scope;
    const { service, api } = scope.call;
    this.#items = openItems(source, api === "" ? "given to an api" : `given to ${service}.${api}`);
    this.#passable = readPassable(source);
    scope.onEnd(() => this.stop());
  }

  get isTaken(): boolean {
    return this.#isTaken;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  pull(reader: InputReader): void {
    if (this.#isEnded) {
      reader.end();
      return;
    }
    this.#isTaken = true;
    try {
      runFor(this.#callerScope, this.#scope, pullItem, this.#items).then(
        (step) => this.#give(step, reader),
        (thrown: unknown) => reader.fail(this.#fail(thrown)),
      );
    } catch (thrown) {
      reader.fail(this.#fail(thrown));
    }
  }

  next(): Promise<Step> {
    return new Promise((resolve, fail) => {
      this.pull({
        item: (value) => resolve({ done: false, value }),
        end: () => resolve(lastStep),
        fail,
      });
    });
  }

  passTo(sink: ItemSink): ItemSource | undefined {
    if (this.#isEnded || this.#passable?.isUnread !== true) return undefined;
    this.#isTaken = true;
    this.#source = this.#passable.passTo(sink, this.#scope);
    return this.#source;
  }

  stop(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    if (this.#source !== undefined) {
      this.#source.stop();
      return;
    }
    // Errors of the clean-up have no receiver.
    try {
      runInScope(this.#callerScope, endItems, this.#items)?.then(undefined, () => {});
    } catch {}
  }

  return(): Promise<Step> {
    this.stop();
    return Promise.resolve(lastStep);
  }

  #give(step: IteratorResult<unknown, unknown>, reader: InputReader): void {
    let isOver: boolean;
    let value: unknown;
    try {
      isOver = this.#isEnded || isLastStep(step);
      value = isOver ? undefined : step.value;
    } catch (thrown) {
      reader.fail(this.#fail(thrown));
      return;
    }
    if (isOver) {
      this.#isEnded = true;
      reader.end();
    } else {
      reader.item(value);
    }
  }

  /**
   * Returns an error as an api's own failure: a `ServingError` stays unchanged, the stack of any other error is logged
   * here.
   */
  #fail(thrown: unknown): ServingError {
    this.#isEnded = true;
    settlePromises(thrown);
    const { service, api, caller } = this.#scope.call;
    const error = toServingError(thrown, caller.service, caller.api);
    if (thrown instanceof ServingError || this.#callerScope === undefined) return error;
    const incident = randomBytes(6).toString("hex");
    this.#callerScope.running.log.error(
      { err: thrown, incident },
      `the stream that ${caller.service}.${caller.api} passes to ${service}.${api} threw: ${error.message}`,
    );
    return copyError(error, { incident });
  }
}

const pullItem = (items: AsyncIterator<unknown>) => Promise.resolve(items.next());
const endItems = (items: AsyncIterator<unknown>) => items.return?.();
