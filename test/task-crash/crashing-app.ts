import { rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { listChildren, readCommand } from "../chaos/processes.js";
import { CommandProcess, type CommandResult } from "../cli-process.js";

const services = fileURLToPath(import.meta.resolve("./services.ts"));

const flags = [
  ...["--restart-give-up-after", "0", "--restart-backoff-ms", "20", "--restart-max-backoff-ms", "100"],
  ...[
    "--tasks-lease-ms",
    "1500",
    "--wait-for-replica-ms",
    "20000",
    "--port",
    "0",
    "--host",
    "127.0.0.1",
    "--no-http-access-log",
  ],
];

/** App that is killed, wholly or in part, and restarted on the same store. */
export class CrashingApp implements AsyncDisposable {
  readonly #env: Readonly<Record<string, string>>;
  #command: CommandProcess | undefined;
  #starting: Promise<void> | undefined;
  #url: Promise<string> | undefined;
  replicaKills = 0;
  appKills = 0;

  /** Starts the app. @param env Variables that name its store and its records. */
  constructor(env: Readonly<Record<string, string>>) {
    this.#env = env;
  }

  /** Returns the address of the running app; waits while it starts. */
  url(): Promise<string> {
    this.#url ??= this.#start();
    return this.#url;
  }

  /** Kills one process. */
  killReplica(pick: (pids: readonly number[]) => number): void {
    const pids = listChildren(this.#pid).filter((pid) => readCommand(pid).includes("process-main"));
    if (pids.length === 0) return;
    const pid = pick(pids);
    if (readCommand(pid) !== "" && process.kill(pid, "SIGKILL")) this.replicaKills++;
  }

  /** Kills the supervisor, and with it its replicas, and restarts the app. */
  async killApp(): Promise<void> {
    const command = this.#command;
    if (command === undefined) return;
    const pids = listChildren(this.#pid);
    this.#url = undefined;
    this.appKills++;
    command.child.kill("SIGKILL");
    // Kills some replicas too, because a power cut spares none.
    for (const pid of pids.slice(0, 2)) if (readCommand(pid) !== "") process.kill(pid, "SIGKILL");
    await command.ended;
    await this.url();
  }

  /** Stops the app with SIGTERM. */
  async stop(): Promise<CommandResult> {
    const command = this.#command as CommandProcess;
    this.#command = undefined;
    this.#url = undefined;
    command.child.kill("SIGTERM");
    return command.ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#command?.[Symbol.dispose]();
    await this.#command?.ended;
  }

  get #pid(): number {
    return this.#command?.child.pid ?? -1;
  }

  async #start(): Promise<string> {
    await this.#starting;
    const command = new CommandProcess(["serve", services, ...flags], { env: this.#env });
    this.#command = command;
    const url = command.url();
    this.#starting = url.then(
      () => {},
      () => {},
    );
    return url;
  }
}

export const removeFolder = (folder: string): void => rmSync(folder, { recursive: true, force: true });
