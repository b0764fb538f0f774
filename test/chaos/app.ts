import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { CommandProcess, type CommandResult } from "../cli-process.js";
import { Connection } from "./exchange.js";
import {
  type Holding,
  hasConnections,
  listChildren,
  listDescendants,
  listDescriptors,
  readCommand,
  readHolding,
} from "./processes.js";

/** Longest time to wait for anything that ends at all, on a machine that is busy with other tests. */
const patienceMs = 30_000;

const services = fileURLToPath(import.meta.resolve("./services.ts"));

const flags = [
  // Restarts are fast and unlimited: other tests cover how they slow down.
  ...["--restart-give-up-after", "0", "--restart-backoff-ms", "20", "--restart-max-backoff-ms", "100"],
  // A busy machine may start a process slowly, and this test does not judge that.
  ...["--wait-for-replica-ms", "20000", "--timeout-ms", "30000"],
  ...["--port", "0", "--host", "127.0.0.1", "--no-http-access-log"],
];

/** One kill -9 and its time. */
export interface Kill {
  readonly pid: number;
  readonly at: number;
}

/** State of an app at a moment without requests. */
export interface Inventory {
  readonly supervisor: Holding;
  /** Processes by the name of their replica. */
  readonly replicas: ReadonlyMap<string, Holding & { readonly pid: number }>;
  readonly processes: number;
  /** Names of the sockets in the folder of the app. */
  readonly socketFiles: readonly string[];
  /** Names of files in memory that no process has opened yet. */
  readonly slabFiles: readonly string[];
}

/** The chain of services behind `ekiben serve`, with access to the state of its processes. */
export class ChaosApp implements AsyncDisposable {
  readonly kills: Kill[] = [];
  /** Warnings and errors of the log, and other output, that no kill explains. */
  readonly complaints: string[] = [];
  url = "";
  readonly #command: CommandProcess;
  readonly #folder = mkdtempSync(join(tmpdir(), "chaos-"));
  readonly #replicaOf = new Map<number, string>();
  #slabFolder: string | undefined;

  private constructor() {
    this.#command = new CommandProcess(["serve", services, ...flags], { env: { TMPDIR: this.#folder } });
    followLines(this.#command.child.stderr, (line) => this.#readNews(line));
    followLines(this.#command.child.stdout, (line) => this.#readLog(line));
  }

  static async start(): Promise<ChaosApp> {
    const app = new ChaosApp();
    app.url = await app.#command.url();
    return app;
  }

  /** Processes of the replicas, also of those that are still starting. */
  get replicas(): readonly number[] {
    return listChildren(this.#pid).filter((pid) => readCommand(pid).includes("process-main"));
  }

  /** Returns the name of the replica, such as `Front#0`; `undefined` before its service starts. */
  replicaOf(pid: number): string | undefined {
    return this.#replicaOf.get(pid);
  }

  kill(pid: number): void {
    const at = performance.now();
    // The process may have ended meanwhile, by the previous kill.
    if (readCommand(pid) !== "" && process.kill(pid, "SIGKILL")) this.kills.push({ pid, at });
  }

  /** True when all replicas report that they are ready and have no calls in flight. */
  async isWhole(): Promise<boolean> {
    const { status, text } = await this.#get("/readyz");
    if (status !== 200) return false;
    const { services } = JSON.parse(text) as { services: { readyReplicas: number; replicas: number }[] };
    const isReady = services.every((own) => own.readyReplicas === own.replicas);
    return isReady && (await this.countInFlight()) === 0;
  }

  /** Number of calls that are sent, waiting or running, as counted by the processes. */
  async countInFlight(): Promise<number> {
    const { text } = await this.#get("/metrics");
    const values = [...text.matchAll(/^ekiben_(?:calls_in_flight|api_running|api_queued)\{.*\} (\S+)$/gm)];
    return values.reduce((sum, [, value]) => sum + Number(value), 0);
  }

  /** True when one of its processes still has an open connection of a client. */
  get hasClients(): boolean {
    return hasConnections(Number(new URL(this.url).port));
  }

  takeInventory(): Inventory {
    const replicas = this.replicas.map((pid) => [this.replicaOf(pid) ?? "?", { pid, ...readHolding(pid) }] as const);
    const own = readdirSync(this.#folder).find((name) => name.startsWith("ekiben-")) ?? "";
    this.#slabFolder ??= this.#findSlabFolder();
    return {
      supervisor: readHolding(this.#pid),
      replicas: new Map(replicas.sort(([a], [b]) => a.localeCompare(b))),
      processes: listDescendants(this.#pid).length,
      socketFiles: readdirSync(join(this.#folder, own)),
      slabFiles: this.#slabFolder === undefined ? [] : readdirSync(this.#slabFolder).filter((name) => name !== "alive"),
    };
  }

  /** Stops the app with SIGTERM. @returns Everything that is left of it. */
  async stop(): Promise<CommandResult & { readonly left: readonly string[] }> {
    const pids = [this.#pid, ...listDescendants(this.#pid)];
    this.#command.child.kill("SIGTERM");
    const result = await this.#command.ended;
    const isAlive = (pid: number) => readCommand(pid) !== "";
    await until(() => !pids.some(isAlive)).catch(() => {});
    const folders = readdirSync(this.#folder).filter((name) => name.startsWith("ekiben-"));
    const slabs = readdirSync("/dev/shm").filter((name) => this.#slabFolder === join("/dev/shm", name));
    return { ...result, left: [...pids.filter(isAlive).map((pid) => `process ${pid}`), ...folders, ...slabs] };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#command[Symbol.dispose]();
    await this.#command.ended;
    for (const folder of [this.#folder, this.#slabFolder ?? this.#folder])
      rmSync(folder, { recursive: true, force: true });
  }

  /** Sends a request on a connection of its own, which is closed afterwards. */
  async #get(path: string): Promise<{ readonly status: number; readonly text: string }> {
    const connection = new Connection(this.url, patienceMs);
    const ending = await connection.send({ method: "GET", path });
    connection.close();
    return ending.kind === "answered" ? { status: ending.status, text: String(ending.body) } : { status: 0, text: "" };
  }

  get #pid(): number {
    return this.#command.child.pid as number;
  }

  /** Reads an open file in memory: its name is gone, but its path is still listed. */
  #findSlabFolder(): string | undefined {
    const links = this.replicas.flatMap((pid) => listDescriptors(pid));
    return links.map((link) => /^\/dev\/shm\/ekiben-\w+/.exec(link)?.[0]).find((path) => path !== undefined);
  }

  /** Collects stderr, where services write. The command itself writes nothing there between the start and the stop. */
  #readNews(line: string): void {
    const [, replica = "", pid] = /^(\w+#\d+) is process (\d+)$/.exec(line) ?? [];
    if (pid !== undefined) this.#replicaOf.set(Number(pid), replica);
    else if (this.kills.length > 0 && !/^(?:draining: |stopped after |$)/.test(line)) this.complaints.push(line);
  }

  #readLog(line: string): void {
    const { level, msg } = JSON.parse(line) as { level: number; msg: string };
    if (level >= 40 && !/ was ended by SIGKILL; it is started again$/.test(msg)) this.complaints.push(line);
  }
}

function followLines(stream: Readable | null, read: (line: string) => void): void {
  let rest = "";
  stream?.on("data", (chunk: Buffer) => {
    const lines = (rest + String(chunk)).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) read(line);
  });
}

/**
 * Checks again and again, because no event reports a change. @throws {Error} when the condition does not hold within 30
 * s.
 */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const begun = performance.now();
  while (!(await holds())) {
    if (performance.now() - begun > patienceMs) throw new Error(`after ${patienceMs} ms still not: ${holds}`);
    await sleep(20);
  }
}
