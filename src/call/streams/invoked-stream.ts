import type { CallScope } from "../call-scope.js";
import { type ApiTarget, runInScope } from "../invoke.js";
import { type EncodedItems, type ItemSink, type ItemSource, isLastStep, readPassable } from "./item-source.js";
import { takeItems } from "./stream-use.js";

/** Result of an author's function, as it is read: an iterator of its own, or the unread stream of another service. */
type Source = { readonly items: AsyncIterator<unknown> } | { readonly source: ItemSource };

/** Arguments of a streaming api's run. */
interface StreamInvocation {
  readonly target: ApiTarget;
  readonly input: unknown;
  readonly scope: CallScope;
  /** False skips both checks. */
  readonly isChecked: boolean;
}

/**
 * Runs one streaming call, pulled by its reader: input check, the author's function, a check of each item.
 *
 * The author's generator advances only when an item is asked for. A stop runs its `finally` blocks, and the end comes
 * when they have ended. A stream of another service that the author returns unread is not read here either: its items
 * pass, and are not checked again where that service has checked them against the same schema.
 */
export class InvokedStream implements ItemSource, ItemSink {
  readonly #invocation: StreamInvocation;
  readonly #sink: ItemSink;
  /** The checked input, for sizes that input and items share. */
  #input: unknown;
  #source: Source | undefined;
  #isChecked: boolean;
  #isPulling = false;
  #isStopped = false;
  /** True when the author's iterator has ended after a stop. */
  #hasReturned = false;
  #isEnded = false;
  /** Failure of an item: its producer ends first. */
  #refusal: { readonly error: unknown } | undefined;
  takesEncoded = false;

  constructor(invocation: StreamInvocation, sink: ItemSink) {
    this.#invocation = invocation;
    this.#isChecked = invocation.isChecked;
    this.#sink = sink;
  }

  pull(): void {
    const source = this.#source;
    if (source === undefined) this.#begin();
    else if ("source" in source) source.source.pull();
    else this.#pullItem(source.items);
  }

  stop(): void {
    if (this.#isStopped || this.#isEnded) return;
    this.#isStopped = true;
    const source = this.#source;
    if (source === undefined) {
      if (!this.#isPulling) this.end();
    } else if ("source" in source) source.source.stop();
    else this.#return(source.items);
  }

  /** Receives an item of a stream that is passed on. */
  item(value: unknown, isFresh: boolean): void {
    if (this.#isChecked) this.#check(value, isFresh);
    else this.#sink.item(value, isFresh);
  }

  encoded(items: EncodedItems): void {
    this.#sink.encoded(items);
  }

  end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    if (this.#refusal === undefined) this.#sink.end();
    else this.#sink.fail(this.#refusal.error);
  }

  fail(error: unknown): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#sink.fail(error);
  }

  #begin(): void {
    const { target, input } = this.#invocation;
    this.#isPulling = true;
    try {
      const checked = this.#isChecked ? target.checkInput(input) : input;
      if (checked instanceof Promise) checked.then(this.#run, this.#onThrow);
      else this.#run(checked);
    } catch (error) {
      this.#onThrow(error);
    }
  }

  readonly #run = (input: unknown): void => {
    const { target, scope } = this.#invocation;
    this.#isPulling = false;
    if (this.#isStopped) {
      this.end();
      return;
    }
    this.#input = input;
    try {
      const given = runInScope(scope, target.run, input);
      const { service, api } = scope.call;
      const open = (stream: AsyncIterable<unknown>) => takeItems(stream, `returned by ${service}.${api}`);
      const items = runInScope(scope, open, given as AsyncIterable<unknown>);
      const stream = readPassable(given);
      if (stream === undefined) {
        this.#source = { items };
      } else {
        if (target.itemSchema !== undefined && stream.itemSchema === target.itemSchema) this.#isChecked = false;
        this.takesEncoded = !this.#isChecked && this.#sink.takesEncoded;
        this.#source = { source: stream.passTo(this) };
      }
    } catch (error) {
      this.#onThrow(error);
      return;
    }
    this.pull();
  };

  /** A generator's body runs in the context of its `next()` call, so the scope is entered again for each item. */
  #pullItem(items: AsyncIterator<unknown>): void {
    this.#isPulling = true;
    try {
      runInScope(this.#invocation.scope, pullItem, items).then(this.#onStep, this.#onThrow);
    } catch (error) {
      this.#onThrow(error);
    }
  }

  readonly #onStep = (step: IteratorResult<unknown>): void => {
    let isOver: boolean;
    let value: unknown;
    try {
      isOver = isLastStep(step);
      value = isOver ? undefined : step.value;
    } catch (error) {
      this.#onThrow(error);
      return;
    }
    this.#isPulling = false;
    if (isOver) this.end();
    else if (this.#isStopped) this.#endIfOver();
    else if (this.#isChecked) this.#check(value, false);
    else this.#sink.item(value, false);
  };

  readonly #onThrow = (error: unknown): void => {
    this.#isPulling = false;
    this.fail(error);
  };

  #check(value: unknown, isFresh: boolean): void {
    let checked: unknown;
    try {
      checked = this.#invocation.target.checkOutput(value, this.#input);
    } catch (error) {
      this.#refuse(error);
      return;
    }
    if (!(checked instanceof Promise)) {
      this.#sink.item(checked, isFresh);
      return;
    }
    checked.then(
      (settled) => {
        if (!this.#isStopped) this.#sink.item(settled, isFresh);
      },
      (error: unknown) => this.#refuse(error),
    );
  }

  #refuse(error: unknown): void {
    this.#refusal ??= { error };
    this.stop();
  }

  #return(items: AsyncIterator<unknown>): void {
    const over = () => {
      this.#hasReturned = true;
      this.#endIfOver();
    };
    try {
      const returned = runInScope(this.#invocation.scope, endIterator, items);
      if (returned === undefined) over();
      else Promise.resolve(returned).then(over, this.#onThrow);
    } catch (error) {
      this.#onThrow(error);
    }
  }

  #endIfOver(): void {
    if (!this.#isPulling && this.#hasReturned) this.end();
  }
}

const pullItem = (iterator: AsyncIterator<unknown>) => Promise.resolve(iterator.next());
const endIterator = (iterator: AsyncIterator<unknown>) => iterator.return?.();
