import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { listTree } from "./processes.ts";

/** Command and settings of a server. */
export interface ServerCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly port: number;
  /** Path that answers 200 when the server is ready. */
  readonly readyPath: string;
  /** Environment variables, added to those of this process. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

const readyTimeoutMs = 180_000;
const stopTimeoutMs = 15_000;

/** Server in a process of its own, with all its child processes. */
export class ServerProcess implements AsyncDisposable {
  readonly url: string;
  readonly #child: ChildProcess;
  /** Log file. Not a pipe: reading a log line per request would cost the bench CPU. */
  readonly #logFolder = mkdtempSync(join(tmpdir(), "ekiben-bench-"));
  readonly #killAtExit = () => this.#end(this.listProcesses());
  #problem: string | undefined;
  #readyMs = Number.NaN;

  private constructor({ command, args, port, env, cwd }: ServerCommand) {
    const log = openSync(join(this.#logFolder, "log"), "w");
    this.#child = spawn(command, args, {
      stdio: ["ignore", log, log],
      env: { ...process.env, ...env },
      ...(cwd !== undefined && { cwd }),
    });
    closeSync(log);
    this.url = `http://127.0.0.1:${port}`;
    this.#child.on("error", (error) => (this.#problem = error.message));
    this.#child.on("exit", (code, signal) => (this.#problem ??= `ended with ${signal ?? code}`));
    process.once("exit", this.#killAtExit);
  }

  /**
   * Waits until the server is ready. @throws {Error} with the end of its output, when it ends or is not ready in three
   * minutes.
   */
  static async start(command: ServerCommand): Promise<ServerProcess> {
    const begun = performance.now();
    const server = new ServerProcess(command);
    while (!(await isReady(`${server.url}${command.readyPath}`))) {
      if (performance.now() - begun > readyTimeoutMs) server.#problem ??= "was not ready in time";
      if (server.#problem !== undefined) {
        const output = readFileSync(join(server.#logFolder, "log"), "utf8").trim().slice(-1000);
        const problem = `${[command.command, ...command.args].join(" ")}: ${server.#problem}\n${output}`;
        server.#end(server.listProcesses());
        throw new Error(problem);
      }
      await sleep(5);
    }
    server.#readyMs = performance.now() - begun;
    return server;
  }

  /** Time from the start of the process until `readyPath` answered 200. */
  get readyMs(): number {
    return this.#readyMs;
  }

  /** All processes of the server, itself first; empty when it has ended. */
  listProcesses(): number[] {
    const { pid } = this.#child;
    return pid === undefined || this.#hasEnded() ? [] : listTree(pid);
  }

  /** Stops the server with a signal, and kills its remaining processes. */
  async stop(): Promise<void> {
    const pids = this.listProcesses();
    if (pids.length > 0) {
      const limit = new AbortController();
      const exited = once(this.#child, "exit");
      this.#child.kill("SIGTERM");
      await Promise.race([exited, sleep(stopTimeoutMs, undefined, { signal: limit.signal }).catch(() => {})]);
      limit.abort();
    }
    this.#end(pids);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  #end(pids: readonly number[]): void {
    process.removeListener("exit", this.#killAtExit);
    for (const pid of pids) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // The process has ended.
      }
    }
    rmSync(this.#logFolder, { recursive: true, force: true });
  }
}

async function isReady(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(5000) });
    await response.arrayBuffer();
    return response.status === 200;
  } catch {
    return false;
  }
}
