import { api, currentCall } from "ekiben";
import { z } from "zod";

/**
 * Records events of a replica as short texts such as `"first begun"`, and waits for them.
 *
 * Tests share no memory with services: they read the journal and wait for its entries through apis.
 */
export class Journal {
  readonly #counts = new Map<string, number>();
  readonly #waiting = new Map<string, (() => void)[]>();

  note(event: string): void {
    this.#counts.set(event, this.count(event) + 1);
    const waiting = this.#waiting.get(event) ?? [];
    this.#waiting.delete(event);
    for (const resolve of waiting) resolve();
  }

  count(event: string): number {
    return this.#counts.get(event) ?? 0;
  }

  /** Resolves when the event is recorded; at once if it was recorded before. */
  async whenNoted(event: string): Promise<void> {
    if (this.count(event) === 0) {
      await new Promise<void>((resolve) => {
        this.#waiting.set(event, [...(this.#waiting.get(event) ?? []), resolve]);
      });
    }
  }

  /** Records when the running call is cancelled: `"<name> cancelled"` and `"<name> cancelled by <code>"`. */
  followSignal(name: string): AbortSignal {
    const { signal } = currentCall();
    const noteCancel = () => {
      this.note(`${name} cancelled by ${signal.reason?.code}`);
      this.note(`${name} cancelled`);
    };
    if (signal.aborted) noteCancel();
    else signal.addEventListener("abort", noteCancel);
    return signal;
  }

  /** Runs a named call until it is released or, unless it is stubborn, cancelled. */
  async hold(name: string, isStubborn = false): Promise<string> {
    this.followSignal(name);
    this.note(`${name} begun`);
    const ends = [this.whenNoted(`${name} released`)];
    if (!isStubborn) ends.push(this.whenNoted(`${name} cancelled`));
    await Promise.race(ends);
    this.note(`${name} ended`);
    return name;
  }
}

/** Answers when the journal has the event. Fails after 20 s, so that a broken promise fails in its own test. */
export const createSeen = (journal: Journal) =>
  api({ input: z.string(), output: z.string(), timeoutMs: 20_000 }, async (event) => {
    await journal.whenNoted(event);
    return event;
  });

/** Returns how often the journal has the event now. */
export const createCount = (journal: Journal) =>
  api({ input: z.string(), output: z.number() }, (event) => journal.count(event));

/** Records an event; tests use it to release held calls. */
export const createNote = (journal: Journal) =>
  api({ input: z.string(), output: z.string() }, (event) => {
    journal.note(event);
    return event;
  });
