import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** One tiny request: its time of day and its duration. */
interface Asked {
  readonly at: number;
  readonly tookMs: number;
  /** Time that the answering thread waited for a CPU meanwhile: the share of the machine. */
  readonly waitedMs: number;
  /** Problem of the answer. */
  readonly problem?: string;
}

/** Request to the app that took long. */
export interface Stall {
  readonly at: number;
  readonly tookMs: number;
  /** Duration of a request to the bare server meanwhile: the share of the machine. */
  readonly bareMs: number;
}

/**
 * Time around a stall in which the slowest answer of the bare server counts, because the two are queried at different
 * moments.
 */
const nearMs = 500;

/**
 * Measures how long tiny requests wait during the attacks. A bare server is queried too: a slow machine delays both
 * servers, a busy event loop only the app. Time that a thread waits for a CPU, for example while other replicas start,
 * does not count.
 */
export class StallWatch implements Disposable {
  readonly #child: ChildProcess;
  #output = "";
  #seen: { readonly app: readonly Asked[]; readonly bare: readonly Asked[] } = { app: [], bare: [] };

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.stdout?.on("data", (chunk: Buffer) => {
      this.#output += chunk;
    });
  }

  /** Starts the watch. @param replica Replica that answers; its process is in `pids`. */
  static async start(url: string, pids: string, replica: string): Promise<StallWatch> {
    const script = fileURLToPath(import.meta.resolve("./stall-main.mjs"));
    const child = spawn(process.execPath, [script, url, pids, replica], { stdio: ["pipe", "pipe", "inherit"] });
    const watch = new StallWatch(child);
    await once(child.stdout, "data");
    return watch;
  }

  async stop(): Promise<void> {
    const ended = once(this.#child, "close");
    this.#child.stdin?.end();
    await ended;
    this.#seen = JSON.parse(this.#output.trim().split("\n").at(-1) ?? "{}");
  }

  /** Answers that were wrong or missing. */
  get problems(): string[] {
    return this.#seen.app.flatMap(({ problem }) => (problem === undefined ? [] : [`a tiny request: ${problem}`]));
  }

  /** Requests that waited longer than `boundMs`, without the share of the machine. */
  stalls(boundMs: number): Stall[] {
    const { app, bare } = this.#seen;
    return app.flatMap(({ at, tookMs, waitedMs }) => {
      if (tookMs - waitedMs <= boundMs) return [];
      const near = bare.filter((own) => own.at + own.tookMs > at - nearMs && own.at < at + tookMs + nearMs);
      const bareMs = Math.max(0, ...near.map((own) => own.tookMs));
      return tookMs - bareMs > boundMs ? [{ at, tookMs, bareMs }] : [];
    });
  }

  /** Percentiles of all answers, in ms. */
  summary(): string {
    const show = (asked: readonly Asked[]) => {
      const sorted = asked.map(({ tookMs }) => tookMs).sort((a, b) => a - b);
      const at = (part: number) => (sorted[Math.floor(sorted.length * part)] ?? 0).toFixed(1);
      return `p50 ${at(0.5)}, p99 ${at(0.99)}, longest ${(sorted.at(-1) ?? 0).toFixed(0)} ms of ${sorted.length}`;
    };
    return `tiny requests: ${show(this.#seen.app)}; to a bare server beside: ${show(this.#seen.bare)}`;
  }

  [Symbol.dispose](): void {
    this.#child.kill("SIGKILL");
  }
}
