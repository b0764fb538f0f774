import { createDeferred, type Deferred } from "../base/deferred.js";

/** What is awaited of another thread or process, by the word that answers it: each once, and nothing after its end. */
export class AwaitedWords<Word extends string> {
  readonly #open = new Map<Word, Deferred<void>>();
  #end: Error | undefined;

  /** Settled by `keep`, `fail` or `end`. */
  expect(word: Word): Promise<void> {
    if (this.#end !== undefined) return Promise.reject(this.#end);
    const awaited = createDeferred<void>();
    // Should the message that asks for it fail, nobody awaits this.
    awaited.promise.catch(() => {});
    this.#open.set(word, awaited);
    return awaited.promise;
  }

  keep(word: Word): void {
    this.#take(word)?.resolve();
  }

  fail(word: Word, error: unknown): void {
    this.#take(word)?.reject(error);
  }

  /** What is awaited fails. */
  failAll(error: Error): void {
    for (const awaited of this.#open.values()) awaited.reject(error);
    this.#open.clear();
  }

  /** The other side is gone: what is awaited fails, and what will be. */
  end(error: Error): void {
    this.#end = error;
    this.failAll(error);
  }

  #take(word: Word): Deferred<void> | undefined {
    const awaited = this.#open.get(word);
    this.#open.delete(word);
    return awaited;
  }
}
