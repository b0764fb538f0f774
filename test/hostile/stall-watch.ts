import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** One tiny request: when it was sent, by the time of day, and how long its answer took. */
interface Asked {
  readonly at: number;
  readonly tookMs: number;
  /** How long the thread that answers waited for a processor meanwhile: the machine's part. */
  readonly waitedMs: number;
  /** What was wrong with the answer. */
  readonly problem?: string;
}

/** A request to the app that took long. */
export interface Stall {
  readonly at: number;
  readonly tookMs: number;
  /** What a bare server took meanwhile: the machine's part. */
  readonly bareMs: number;
}

/** The bare server is asked at other moments, so its slowest answer near a stall is what counts. */
const nearMs = 500;

/**
 * Tells how long tiny requests wait beside the attacks. A bare server is asked beside the app: a slow machine delays both, a
 * busy event loop only the app. And a thread that waits for a processor, as while others start, keeps nobody waiting.
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

  /** @param replica The one that answers; its process is in `pids`. */
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

  /** Answers that were not right, or did not come. */
  get problems(): string[] {
    return this.#seen.app.flatMap(({ problem }) => (problem === undefined ? [] : [`a tiny request: ${problem}`]));
  }

  /** Requests that waited longer than `boundMs`, the machine's part taken off. */
  stalls(boundMs: number): Stall[] {
    const { app, bare } = this.#seen;
    return app.flatMap(({ at, tookMs, waitedMs }) => {
      if (tookMs - waitedMs <= boundMs) return [];
      const near = bare.filter((own) => own.at + own.tookMs > at - nearMs && own.at < at + tookMs + nearMs);
      const bareMs = Math.max(0, ...near.map((own) => own.tookMs));
      return tookMs - bareMs > boundMs ? [{ at, tookMs, bareMs }] : [];
    });
  }

  /** Percentiles of all answers, ms. */
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
