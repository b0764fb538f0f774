import { type Logger, ServingError } from "ekiben";
import type { ComposedApp } from "ekiben/testing";
import type { Front } from "./services/front.js";

export type PlacementName = "inline" | "thread" | "process";

export interface LogLine {
  readonly message: string | undefined;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Log whose lines a test can wait for; each line is taken once. */
export class LogBook {
  readonly #lines: LogLine[] = [];
  #onLine: (() => void) | undefined;

  readonly logger = this.#createLogger({});

  /** Resolves with the next line with this message, or one that matches it. */
  take(message: string | RegExp): Promise<LogLine> {
    const isWanted = (text = "") => (typeof message === "string" ? text === message : message.test(text));
    return this.takeWhere((line) => isWanted(line.message));
  }

  async takeWhere(isWanted: (line: LogLine) => boolean): Promise<LogLine> {
    for (;;) {
      const at = this.#lines.findIndex(isWanted);
      if (at >= 0) return this.#lines.splice(at, 1)[0] as LogLine;
      await new Promise<void>((resolve) => {
        this.#onLine = resolve;
      });
    }
  }

  /** Lines that were not taken. */
  all(): readonly LogLine[] {
    return this.#lines;
  }

  #createLogger(own: Record<string, unknown>): Logger {
    const write = (fields: object, message?: string) => {
      this.#lines.push({ message, fields: { ...own, ...fields } });
      this.#onLine?.();
    };
    const child = (fields: Record<string, unknown>) => this.#createLogger({ ...own, ...fields });
    return { debug: write, info: write, warn: write, error: write, child };
  }
}

/** Input of the tests of one topic; the app runs after their `before` hooks. */
export interface Suite {
  readonly placement: PlacementName;
  /** True when each service but the entry runs in another app. */
  readonly isRemote: boolean;
  readonly app: () => ComposedApp<Front>;
  /** Waits for the next log line with this message. */
  readonly logged: (message: string) => Promise<LogLine>;
  /** Path of a file in this placement's folder; the file does not exist yet. */
  readonly newFile: () => string;
}

/** Returns the failure of a call. Fails when the call succeeds, or ends with another kind of error. */
export async function failureOf(call: PromiseLike<unknown>): Promise<ServingError> {
  let answer: unknown;
  try {
    answer = await call;
  } catch (error) {
    if (error instanceof ServingError) return error;
    throw error;
  }
  throw new Error(`the call was to fail and answered ${String(answer)}`);
}

/** Facts of a failure that a caller can read. */
export function readFailure(error: ServingError) {
  const { code, id, message, details, service, api, retryable, httpStatus } = error;
  return { code, id, message, details, service, api, retryable, httpStatus };
}

/** Reads a stream to its end. */
export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

/** Reads a stream that fails. @returns Its items and the failure. */
export async function collectFailing(
  items: AsyncIterable<unknown>,
): Promise<{ items: unknown[]; error: ServingError }> {
  const list: unknown[] = [];
  const read = async () => {
    for await (const item of items) list.push(item);
  };
  const error = await failureOf(read());
  return { items: list, error };
}

const firstLimitMs = 150;
const maxTries = 6;

/**
 * Runs `attempt` with longer and longer limits until it has made enough progress in time. Tests do not judge how much a
 * machine does within a limit, only what happens when the limit passes.
 *
 * @param attempt Returns true when everything it watches had begun before the limit passed.
 */
export async function withinLimits(attempt: (limitMs: number, name: string) => Promise<boolean>): Promise<void> {
  for (let i = 0; i < maxTries; i++) {
    const limitMs = firstLimitMs * 2 ** i;
    if (await attempt(limitMs, `limit of ${limitMs} ms, ${++lastName}`)) return;
  }
  throw new Error(`nothing began within ${firstLimitMs * 2 ** (maxTries - 1)} ms`);
}

let lastName = 0;

/** Returns a name that no other test uses. */
export const newName = (what: string): string => `${what} ${++lastName}`;
