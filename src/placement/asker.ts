import type { Clock, Timer } from "../base/clock.js";
import { messageOf } from "../failure/to-serving-error.js";

interface Question {
  resolve(value: unknown): void;
  reject(error: Error): void;
  readonly timer: Timer | undefined;
}

/** An answer as it comes over a control channel. */
export interface ControlAnswer {
  readonly number: number;
  readonly value?: unknown;
  readonly error?: string;
}

/** Questions over a control channel and their answers, each bounded in time. */
export class Asker<Answers> {
  readonly #clock: Clock;
  readonly #send: (number: number, what: keyof Answers) => void;
  readonly #open = new Map<number, Question>();
  #last = 0;
  #failure: Error | undefined;

  constructor(clock: Clock, send: (number: number, what: keyof Answers) => void) {
    this.#clock = clock;
    this.#send = send;
  }

  /** @throws {Error} when the other side fails, ends, or does not answer within `limitMs`; `Infinity` is no limit. */
  ask<What extends keyof Answers>(what: What, limitMs: number): Promise<Answers[What]> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const number = ++this.#last;
    return new Promise((resolve, reject) => {
      const expire = () => {
        this.#open.delete(number);
        reject(new Error(`no answer within ${limitMs} ms`));
      };
      const timer = Number.isFinite(limitMs) ? this.#clock.setTimer(expire, limitMs) : undefined;
      this.#open.set(number, { resolve: resolve as (value: unknown) => void, reject, timer });
      this.#send(number, what);
    });
  }

  receive({ number, value, error }: ControlAnswer): void {
    const question = this.#open.get(number);
    if (question === undefined) return;
    this.#open.delete(number);
    question.timer?.clear();
    if (error === undefined) question.resolve(value);
    else question.reject(new Error(error));
  }

  /** The other side is gone: what was asked fails, and what will be. */
  fail(error: unknown): void {
    const failure = error instanceof Error ? error : new Error(messageOf(error));
    this.#failure = failure;
    const questions = [...this.#open.values()];
    this.#open.clear();
    for (const { timer, reject } of questions) {
      timer?.clear();
      reject(failure);
    }
  }
}
