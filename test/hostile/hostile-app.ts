import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { listDescendants, listDescriptors, readCommand, readHolding } from "../chaos/processes.js";
import { CommandProcess, type CommandResult } from "../cli-process.js";

const services = fileURLToPath(import.meta.resolve("./services.ts"));
const clock = import.meta.resolve("./shift-clock.mjs");

/** Replica that answers HTTP. */
export const entry = "Hostile#0";

const flags = [
  // Other tests cover how restarts slow down.
  ...["--restart-backoff-ms", "20", "--restart-max-backoff-ms", "200"],
  ...["--port", "0", "--host", "127.0.0.1"],
];

/** Settings that differ between rounds. */
export interface HostileSetting {
  readonly name: string;
  readonly flags: readonly string[];
  /** Command that runs the app, such as one that makes a namespace. */
  readonly under: readonly string[];
}

/** Process of the app that has ended. */
export interface ProcessEnd {
  readonly replica: string;
  readonly pid: number;
}

let builtTrim: ReturnType<typeof buildTrim> | undefined;

/** `ekiben serve` with the attacked services, in folders of its own. */
export class HostileApp implements AsyncDisposable {
  url = "";
  /** Folder of its sockets. */
  readonly folder = mkdtempSync(join(tmpdir(), "hostile-"));
  readonly command: CommandProcess;
  readonly #killed = new Set<number>();
  readonly #offsets: Record<string, number> = {};

  private constructor({ flags: own, under }: HostileSetting) {
    const env = {
      TMPDIR: this.folder,
      HOSTILE_PIDS: join(this.folder, "pids"),
      ...(builtTrim ??= buildTrim()),
      HOSTILE_CLOCKS: join(this.folder, "clocks"),
      NODE_OPTIONS: `--import ${clock}`,
    };
    writeFileSync(env.HOSTILE_PIDS, "");
    this.command = new CommandProcess(["serve", services, ...flags, ...own], { env, under });
  }

  static async start(setting: HostileSetting): Promise<HostileApp> {
    const app = new HostileApp(setting);
    app.url = await app.command.url();
    return app;
  }

  get port(): number {
    return Number(new URL(this.url).port);
  }

  get pid(): number {
    return this.command.child.pid as number;
  }

  /** File with one line per replica that ever started: its name and its process id. */
  get pids(): string {
    return join(this.folder, "pids");
  }

  /** Replicas that ever started, with their processes; the newest last. */
  get lives(): readonly ProcessEnd[] {
    const lines = readFileSync(this.pids, "utf8").trim().split("\n").filter(Boolean);
    return lines.map((line) => {
      const [replica = "", pid] = line.split(" ");
      return { replica, pid: Number(pid) };
    });
  }

  /** Process of a replica, the newest one if there were several; `undefined` when it has no process of its own. */
  pidOf(replica: string): number | undefined {
    const newest = (name: string) => this.lives.findLast((own) => own.replica === name)?.pid;
    const pid = newest(replica);
    if (pid === undefined || pid === this.pid || !isAlive(pid)) return undefined;
    // An inline replica runs in the process of its caller.
    return replica !== entry && pid === newest(entry) ? undefined : pid;
  }

  /** Processes that ended and were not killed by this test. */
  get ended(): readonly ProcessEnd[] {
    const gone = this.lives.filter(({ pid }) => !isAlive(pid) && !this.#killed.has(pid));
    return isAlive(this.pid) ? gone : [...gone, { replica: "the supervisor", pid: this.pid }];
  }

  kill(pid: number): void {
    this.#killed.add(pid);
    if (isAlive(pid)) process.kill(pid, "SIGKILL");
  }

  /** Sets the wall clock of one process. */
  shiftClock(pid: number, offsetMs: number): void {
    this.#offsets[pid] = offsetMs;
    writeFileSync(join(this.folder, "clocks"), JSON.stringify(this.#offsets));
  }

  /** Folders of the app with its sockets and its files in shared memory. */
  get folders(): { readonly sockets: readonly string[]; readonly memory: readonly string[] } {
    const sockets = readdirSync(this.folder)
      .filter((name) => name.startsWith("ekiben-"))
      .map((name) => join(this.folder, name));
    const links = [this.pid, ...listDescendants(this.pid)].flatMap(listDescriptors);
    const memory = links.map((link) => /^\/dev\/shm\/ekiben-\w+/.exec(link)?.[0]).filter((path) => path !== undefined);
    return { sockets, memory: [...new Set(memory)] };
  }

  /** Numbers of sockets and other descriptors, and resident memory, of all its processes, by name. */
  holdings(): Map<string, ReturnType<typeof readHolding>> {
    const names = ["Hostile#0", "Model#0", "Batched#0"];
    const pids = names.map((name) => [name, this.pidOf(name)] as const);
    const own = pids.flatMap(([name, pid]) => (pid === undefined ? [] : [[name, readHolding(pid)] as const]));
    return new Map([["supervisor", readHolding(this.pid)], ...own]);
  }

  /** Stops the app with SIGTERM. @returns Everything that is left of it. */
  async stop(): Promise<CommandResult & { readonly left: readonly string[] }> {
    const pids = [this.pid, ...listDescendants(this.pid)];
    this.command.child.kill("SIGTERM");
    const result = await this.command.ended;
    const left = pids.filter(isAlive).map((pid) => `process ${pid}: ${readCommand(pid)}`);
    return { ...result, left: [...left, ...readdirSync(this.folder).filter((name) => name.startsWith("ekiben-"))] };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const pid of [...listDescendants(this.pid), this.pid]) if (isAlive(pid)) process.kill(pid, "SIGKILL");
    await this.command.ended;
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export function isAlive(pid: number): boolean {
  return readCommand(pid) !== "";
}

/**
 * Builds the library by which an app gives free memory back, in a folder that none of the attacks removes.
 *
 * @returns Its variable; nothing without a C compiler.
 */
function buildTrim(): { readonly HOSTILE_TRIM?: string } {
  const folder = mkdtempSync(join(tmpdir(), "hostile-trim-"));
  process.once("exit", () => rmSync(folder, { recursive: true }));
  const library = join(folder, "trim");
  const source = fileURLToPath(new URL("trim.c", import.meta.url));
  const { status } = spawnSync("cc", ["-shared", "-fPIC", "-o", library, source]);
  return status === 0 ? { HOSTILE_TRIM: library } : {};
}
