import { type Kind, kindNames } from "./requests.js";

/** Outcome of a request; `failed` and `lost` are allowed only for some kinds. */
export type Outcome = "right" | "left" | "failed" | "lost";

interface KindCount {
  sent: number;
  /** Requests that the client sent again because their connection broke before the answer. */
  again: number;
  readonly ended: Record<Outcome, number>;
}

/** Time in which the kill of an entry replica explains a broken connection; nothing else does. */
export interface Break {
  readonly openedAt: number;
  readonly at: number;
  readonly what: string;
}

/** Counts of everything that happened in a storm. */
export class Tally {
  readonly breaks: Break[] = [];
  /** Violations, in words. */
  readonly faults: string[] = [];
  /** Failures by failure id, service and api. */
  readonly failures = new Map<string, number>();
  slowestMs = 0;
  longestSilenceMs = 0;
  readonly #kinds = new Map(kindNames.map((kind) => [kind, createCount()]));
  #lastAnswerAt = performance.now();

  /** Starts the time in which missing answers count. */
  begin(): void {
    this.#lastAnswerAt = performance.now();
  }

  onSent(kind: Kind): void {
    this.#of(kind).sent++;
  }

  onAgain(kind: Kind): void {
    this.#of(kind).again++;
  }

  /** Counts one request. @param tookMs Time since it was first sent. */
  onEnded(kind: Kind, outcome: Outcome, tookMs: number): void {
    this.#of(kind).ended[outcome]++;
    if (outcome !== "right") return;
    const now = performance.now();
    this.slowestMs = Math.max(this.slowestMs, tookMs);
    this.longestSilenceMs = Math.max(this.longestSilenceMs, now - this.#lastAnswerAt);
    this.#lastAnswerAt = now;
  }

  onFailure(kind: Kind, id: string, service: string): void {
    const name = `${kind}: ${id} of ${service}`;
    this.failures.set(name, (this.failures.get(name) ?? 0) + 1);
  }

  formatRequests(): string[] {
    const head = ["", "sent", "right", "left", "failed", "lost", "sent again"];
    const rows = kindNames.map((kind) => {
      const { sent, again, ended } = this.#of(kind);
      return [kind, ...[sent, ended.right, ended.left, ended.failed, ended.lost, again].map(String)];
    });
    return formatTable([head, ...rows]);
  }

  #of(kind: Kind): KindCount {
    return this.#kinds.get(kind) as KindCount;
  }
}

const createCount = (): KindCount => ({ sent: 0, again: 0, ended: { right: 0, left: 0, failed: 0, lost: 0 } });

/** Aligns names to the left and figures to the right. */
export function formatTable(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join("  "),
  );
}
