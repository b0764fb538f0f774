import { type Kind, kindNames } from "./requests.js";

/** How a request ended; `failed` and `lost` are for those that may. */
export type Outcome = "right" | "left" | "failed" | "lost";

interface KindCount {
  sent: number;
  /** Sent once more by the client, since its connection broke before an answer. */
  again: number;
  readonly ended: Record<Outcome, number>;
}

/** A connection that broke: a kill of an entry replica in this time explains it, nothing else does. */
export interface Break {
  readonly openedAt: number;
  readonly at: number;
  readonly what: string;
}

/** What happened in a storm, counted. */
export class Tally {
  readonly breaks: Break[] = [];
  /** What must not happen, in words. */
  readonly faults: string[] = [];
  /** By failure id, service and api. */
  readonly failures = new Map<string, number>();
  slowestMs = 0;
  longestSilenceMs = 0;
  readonly #kinds = new Map(kindNames.map((kind) => [kind, createCount()]));
  #lastAnswerAt = performance.now();

  /** From here on silence counts. */
  begin(): void {
    this.#lastAnswerAt = performance.now();
  }

  onSent(kind: Kind): void {
    this.#of(kind).sent++;
  }

  onAgain(kind: Kind): void {
    this.#of(kind).again++;
  }

  /** @param tookMs From its first sending to its end. */
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

/** Columns under one another: names to the left, figures to the right. */
export function formatTable(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join("  "),
  );
}
