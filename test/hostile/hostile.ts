import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { Connection } from "../chaos/exchange.js";
import { Random } from "../http/random.js";
import { createAttack, leaveHalfway, sendAttack } from "./attacks.js";
import { entry, HostileApp, type HostileSetting, isAlive } from "./hostile-app.js";
import { callSteadily, type LoadTally } from "./load.js";
import { slipNames } from "./slips.js";
import { StallWatch } from "./stall-watch.js";
import { systemFaults, type Window } from "./system-faults.js";

// Attacks an app under load with bodies, mistakes of authors and system faults, and checks its promises:
//
// H1  No process of the app ends unless this test killed it.
// H2  Each caller under load gets its own answer, whatever is attacked at the same time.
// H3  No attack delays others beyond a bound, without the delays of the machine itself.
// H4  An attack is refused or answered: no 5xx for a body, and nothing hangs.
// H5  A mistake of an author fails only its own call, or no call.
// H6  Afterwards memory is back to its former size, and nothing is left when the app has ended.

/** One run of several rounds; each round has an app of its own. */
export interface HostileRun {
  readonly seed: number;
  /** Milliseconds of each round. */
  readonly rounds: readonly number[];
  /** Longest time that a tiny request may wait during the attacks, in ms; `Infinity` when speed is not judged. */
  readonly stallMs: number;
  /** Takes each line of the report as soon as it is known. */
  readonly print: (line: string) => void;
}

const callers = 12;
const limitMs = 60_000;
/** Allowance for the heap after a full collection: code that was compiled, tables that grew. */
const heapToleranceMiB = 24;
/**
 * Allowance for resident memory that allocators keep after freeing, ten times the largest body; memory in use is judged
 * by the heaps. It is read after a period without attacks and a collection of last resort: see `collect` in
 * `services.ts`. If it is exceeded, the allocator of C gives back what is free (`release`), and the rest is judged.
 */
const residentToleranceMiB = 160;

const memoryLimitMs = 30_000;
/** Time of calls without attacks, before the attacks begin. */
const warmUpMs = 1_000;

/** MiB by kind of memory. */
type Sizes = ReadonlyMap<string, number>;

const isRoot = process.getuid?.() === 0;

/** Placements alternate. Every fourth round has 1 MiB of shared memory, where the system allows that. */
function settingOf(round: number): HostileSetting {
  const small = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=1m tmpfs /dev/shm && exec "$@"', "sh"];
  if (round % 4 === 3 && isRoot) return { name: "1 MiB of shared memory", flags: [], under: small };
  if (round % 4 === 1) {
    return { name: "Model in a thread", flags: ["--placement", "Model=thread"], under: [] };
  }
  if (round % 4 === 2) return { name: "Batched inline", flags: ["--placement", "Batched=inline"], under: [] };
  return { name: "processes", flags: [], under: [] };
}

/** Runs the rounds. @throws {AssertionError} with all violated promises. */
export async function runHostile({ seed, rounds, stallMs, print }: HostileRun): Promise<void> {
  const faults: string[] = [];
  for (const [i, ms] of rounds.entries()) {
    const round = new Round(seed + i, settingOf(i));
    const found = await round.run(ms, stallMs);
    for (const line of round.report) print(line);
    for (const fault of found) print(`  FAULT  ${fault}`);
    faults.push(...found.map((fault) => `seed ${seed + i}: ${fault}`));
  }
  assert.equal(faults.length, 0, `${faults.length} faults\n${faults.slice(0, 40).join("\n")}`);
}

class Round {
  readonly report: string[] = [];
  readonly #seed: number;
  readonly #setting: HostileSetting;
  readonly #faults: string[] = [];
  readonly #windows: Window[] = [];
  readonly #counts = new Map<string, number>();
  readonly #statuses = new Map<number, number>();
  /** Activities with their time of day; they may explain a stall. */
  readonly #attacks: (Window & { readonly name: string })[] = [];
  #app!: HostileApp;
  #began = 0;
  #end = 0;

  constructor(seed: number, setting: HostileSetting) {
    this.#seed = seed;
    this.#setting = setting;
  }

  /** Runs one round. @returns The violated promises. */
  async run(ms: number, stallMs: number): Promise<readonly string[]> {
    await using app = await HostileApp.start(this.#setting);
    this.#app = app;
    const tally: LoadTally = { answered: 0, faults: [] };
    using watch = await StallWatch.start(app.url, app.pids, entry);
    const before = { heaps: await this.#measureHeaps(), resident: this.#measureResident() };
    const load = () =>
      Array.from({ length: callers }, (_, i) =>
        callSteadily(app.url, new Random(this.#seed + 100 + i), tally, this.#isOver),
      );
    // The measure has thrown compiled code away: for some 0.1 s everything is compiled again.
    this.#end = performance.now() + warmUpMs;
    await Promise.all(load());
    this.#began = Date.now();
    this.#end = performance.now() + ms;
    await Promise.all([...load(), this.#attack(), this.#slip(), this.#leave(), this.#disturb()]);
    this.#judgeEnds();
    await this.#judgeSizes(before.heaps, heapToleranceMiB, () => this.#measureHeaps());
    await watch.stop();
    // Nothing more is sent: Node releases memory that it keeps for the next burst when no burst comes.
    await this.#judgeSizes(before.resident, residentToleranceMiB, async () => this.#measureResident(), this.#release);
    for (const { at, tookMs, bareMs } of watch.stalls(stallMs)) {
      if (at < this.#began) continue;
      if (this.#windows.some(({ from, to }) => at < to && at + tookMs > from)) continue;
      const second = ((at - this.#began) / 1000).toFixed(1);
      const near = this.#attacks.filter(({ from, to }) => at < to && at + tookMs > from).map(({ name }) => name);
      const cause = `second ${second}, beside ${near.join("; ") || "nothing"}`;
      this.#faults.push(`a tiny request took ${tookMs.toFixed(0)} ms, a bare server ${bareMs.toFixed(0)} ms: ${cause}`);
    }
    await this.#judgeStop();
    const all = [...this.#faults, ...tally.faults, ...watch.problems];
    const counted = [...this.#counts].map(([name, count]) => `${name} ${count}`).join(", ");
    const statuses = [...this.#statuses].sort(([a], [b]) => a - b).map(([status, n]) => `${status || "none"} ${n}`);
    this.report.push(
      `seed ${this.#seed}, ${this.#setting.name}: ${tally.answered} calls under load answered rightly, ${all.length} faults`,
      `  ${watch.summary()}`,
      `  ${counted}; statuses of bodies: ${statuses.join(", ")}`,
    );
    return [...new Set(all)].slice(0, 30);
  }

  readonly #isOver = (): boolean => performance.now() > this.#end;

  #count(name: string): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  }

  /** Sends bodies one after another, because the cost of one request for others is judged. */
  async #attack(): Promise<void> {
    const random = new Random(this.#seed + 200);
    while (!this.#isOver()) {
      const attack = createAttack(random);
      const from = Date.now();
      const { status, text, hung } = await sendAttack(this.#app.port, attack, limitMs);
      this.#attacks.push({ name: attack.name, from, to: Date.now() });
      this.#count("bodies");
      this.#statuses.set(status, (this.#statuses.get(status) ?? 0) + 1);
      if (hung) this.#faults.push(`${attack.name}: no answer within ${limitMs} ms`);
      // The body is gone if it was in a folder that was removed.
      const isLost = text.includes('"data_loss"') && this.#folderWentSince(from);
      if (status >= 500 && !isLost) this.#faults.push(`${attack.name}: ${text.slice(0, 300)}`);
      await sleep(random.between(0, 50));
    }
  }

  readonly #folderWentSince = (time: number): boolean =>
    this.#attacks.some(({ name, to }) => name.includes("folder") && to > time);

  /** Connections that are abandoned. */
  async #leave(): Promise<void> {
    const random = new Random(this.#seed + 300);
    while (!this.#isOver()) {
      await leaveHalfway(this.#app.port, random);
      this.#count("connections left");
    }
  }

  /** Mistakes of authors. */
  async #slip(): Promise<void> {
    const random = new Random(this.#seed + 400);
    const connection = new Connection(this.#app.url, limitMs);
    const doors = ["/slipHere", "/slipHereLater", "/slipBelow", "/slipBelowLater", "/slipWithin"];
    while (!this.#isOver()) {
      const [path, name] = [random.pick(doors), random.pick(slipNames)];
      // Uses the form of a stream that reports a failure without breaking the connection.
      const accept = path === "/slipWithin" ? "text/event-stream" : "application/json";
      const headers = { "content-type": "application/json", accept };
      const from = Date.now();
      const ending = await connection.send({ path, headers, body: Buffer.from(JSON.stringify(name)) });
      this.#attacks.push({ name: `${path} ${name}`, from, to: Date.now() });
      this.#count("slips");
      // A killed replica fails its calls that may not run twice.
      const isLost = ending.kind === "answered" && String(ending.body).includes('"replica_lost"');
      if (ending.kind !== "answered") this.#faults.push(`${path} ${name}: ${ending.kind}`);
      else if (ending.status === 503 && !isLost) this.#faults.push(`${path} ${name}: ${ending.body}`);
      await sleep(random.between(0, 20));
    }
    connection.close();
  }

  /** Faults of the system, with a pause between two. */
  async #disturb(): Promise<void> {
    const random = new Random(this.#seed + 500);
    while (!this.#isOver()) {
      await sleep(random.between(300, 2500));
      const fault = random.pick(systemFaults);
      const from = Date.now();
      await fault.run(this.#app, random);
      this.#count(fault.name);
      this.#attacks.push({ name: fault.name, from, to: Date.now() + 1000 });
      if (fault.delays) this.#windows.push({ from, to: Date.now() + 1000 });
    }
  }

  #judgeEnds(): void {
    for (const { replica, pid } of this.#app.ended) this.#faults.push(`${replica}, process ${pid}, ended by itself`);
  }

  /** Heap sizes of all services after a full collection. */
  async #measureHeaps(): Promise<Sizes> {
    const connection = new Connection(this.#app.url, limitMs);
    const ending = await connection.send({ path: "/collect" });
    connection.close();
    assert.ok(ending.kind === "answered" && ending.status === 200, `no measure of memory: ${JSON.stringify(ending)}`);
    const left = JSON.parse(String(ending.body)) as Record<string, { heapMiB: number; outsideMiB: number }>;
    const rows = Object.entries(left).flatMap(([name, { heapMiB, outsideMiB }]): [string, number][] => [
      [`heap of ${name}`, heapMiB],
      [`buffers of ${name}`, outsideMiB],
    ]);
    return new Map(rows);
  }

  /** Resident memory as the kernel reports it, without asking the processes. */
  #measureResident(): Sizes {
    const holdings = [...this.#app.holdings()];
    return new Map(holdings.map(([name, own]): [string, number] => [`resident ${name}`, own.residentMiB]));
  }

  /** Waits up to half a minute until memory is back. The successor of a killed replica starts with its own size. */
  async #judgeSizes(
    before: Sizes,
    toleranceMiB: number,
    measure: () => Promise<Sizes>,
    lastResort?: (grown: Sizes) => Promise<void>,
  ): Promise<void> {
    const deadline = performance.now() + memoryLimitMs;
    for (let isReleased = lastResort === undefined; ; ) {
      const now = await measure();
      const grown = [...now].filter(([name, value]) => value - (before.get(name) ?? value) > toleranceMiB);
      if (grown.length === 0) return;
      if (performance.now() > deadline) {
        if (!isReleased) {
          isReleased = true;
          await lastResort?.(new Map(grown));
          continue;
        }
        const files = await this.#writeSnapshots();
        for (const [name, value] of grown) {
          const grew = `${before.get(name)?.toFixed(0)} MiB before, ${value.toFixed(0)} MiB after`;
          this.#faults.push(`${name}: ${grew}${files}`);
        }
        return;
      }
      await sleep(1000);
    }
  }

  /** Lets the allocator of C give back its free memory in all services. */
  readonly #release = async (grown: Sizes): Promise<void> => {
    const kept = [...grown].map(([name, value]) => `${name} ${value.toFixed(0)} MiB`).join(", ");
    this.report.push(`  before the C allocator gave back what is free: ${kept}`);
    const connection = new Connection(this.#app.url, limitMs);
    const ending = await connection.send({ path: "/release" });
    connection.close();
    if (ending.kind !== "answered" || ending.status >= 400) this.#faults.push(`no release: ${JSON.stringify(ending)}`);
  };

  /** Writes the heap of each service into the folder `HOSTILE_SNAPSHOTS`, if it is set. @returns The file names. */
  async #writeSnapshots(): Promise<string> {
    if (process.env["HOSTILE_SNAPSHOTS"] === undefined) return "";
    const connection = new Connection(this.#app.url, limitMs);
    const ending = await connection.send({ path: "/snapshot" });
    connection.close();
    return ending.kind === "answered" ? `; snapshots: ${String(ending.body)}` : "; no snapshots";
  }

  /** Reads no output, or closes it, in the last seconds of the app. */
  async #judgeStop(): Promise<void> {
    this.#app.command.child.stdout?.destroy();
    const connection = new Connection(this.#app.url, limitMs);
    const headers = { "content-type": "application/json" };
    for (let i = 0; i < 20; i++) {
      const ending = await connection.send({ path: "/double", headers, body: Buffer.from("[1]") });
      const isRight = ending.kind === "answered" && ending.status === 200;
      if (!isRight) this.#faults.push(`after its output was closed: ${JSON.stringify(ending)}`);
    }
    connection.close();
    this.#judgeEnds();
    if (!isAlive(this.#app.pid)) return;
    const { status, left } = await this.#app.stop();
    if (status !== 0) this.#faults.push(`after SIGTERM it ended with ${status}`);
    this.#faults.push(...left.map((what) => `after SIGTERM there is still ${what}`));
  }
}
