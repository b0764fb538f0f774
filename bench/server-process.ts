import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { listTree } from "./processes.ts";

/** How a server is started. */
export interface ServerCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly port: number;
  /** Answers 200 when the server is ready. */
  readonly readyPath: string;
  /** Beside those of this process. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

const readyTimeoutMs = 180_000;
const stopTimeoutMs = 15_000;

/** A server in a process of its own, with all the processes it starts. */
export class ServerProcess implements AsyncDisposable {
  readonly url: string;
  /** From the start of the process until `readyPath` answered 200. */
  readonly readyMs: number;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, url: string, readyMs: number) {
    this.#child = child;
    this.url = url;
    this.readyMs = readyMs;
  }

  /** @throws {Error} with the end of its output, when the server ends or is not ready in three minutes. */
  static async start({ command, args, port, readyPath, env, cwd }: ServerCommand): Promise<ServerProcess> {
    const begun = performance.now();
    const child = spawn(command, args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...env },
      ...(cwd !== undefined && { cwd }),
    });
    let output = "";
    const keep = (chunk: Buffer) => (output = (output + chunk).slice(-2000));
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    let problem: string | undefined;
    child.on("error", (error) => (problem = error.message));
    child.on("exit", (code, signal) => (problem ??= `ended with ${signal ?? code}`));
    process.once("exit", () => killAll(listTree(child.pid ?? 0)));

    const url = `http://127.0.0.1:${port}`;
    while (!(await isReady(`${url}${readyPath}`))) {
      if (performance.now() - begun > readyTimeoutMs) problem ??= "was not ready in time";
      if (problem !== undefined) {
        if (child.pid !== undefined) killAll(listTree(child.pid));
        throw new Error(`${[command, ...args].join(" ")} ${problem}\n${output}`);
      }
      await sleep(5);
    }
    return new ServerProcess(child, url, performance.now() - begun);
  }

  /** Of the process itself. */
  get pid(): number {
    return this.#child.pid as number;
  }

  /** All processes of the server, itself first. */
  listProcesses(): number[] {
    return listTree(this.pid);
  }

  /** Asks it to end, and ends what is left of it. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const pids = this.listProcesses();
    const limit = new AbortController();
    const exited = once(this.#child, "exit");
    this.#child.kill("SIGTERM");
    await Promise.race([exited, sleep(stopTimeoutMs, undefined, { signal: limit.signal }).catch(() => {})]);
    limit.abort();
    killAll(pids);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

/** Ports that nobody listened on a moment ago. */
export async function findFreePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  await Promise.all(servers.map((server) => once(server, "listening")));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((closed) => server.close(closed))));
  return ports;
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

function killAll(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It has ended.
    }
  }
}
