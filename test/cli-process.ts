import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const command = join(root, "dist/cli/main.js");

/** Folder of the services that the command line tests run. */
export const fixtures = join(root, "test/fixtures/cli");

/** Result of a finished command. */
export interface CommandResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Command that runs the command line, such as `["unshare", "--pid"]`. */
  readonly under?: readonly string[];
  /** File that Node runs instead of the built command line; `undefined` when `args` name a program. */
  readonly main?: string | undefined;
}

/** Running process of the built command line. */
export class CommandProcess implements Disposable {
  readonly child: ChildProcess;
  readonly ended: Promise<CommandResult>;
  #stdout = "";
  #stderr = "";
  #watchers: (() => void)[] = [];

  constructor(args: readonly string[], { env = {}, cwd = fixtures, under = [], ...own }: CommandOptions = {}) {
    const { NODE_TEST_CONTEXT: _, FORCE_COLOR: __, NO_COLOR: ___, ...outside } = process.env;
    const main = "main" in own ? own.main : command;
    const [file, ...all] = [...under, process.execPath, ...(main === undefined ? [] : [main]), ...args] as [
      string,
      ...string[],
    ];
    this.child = spawn(file, all, { cwd, env: { ...outside, ...env } });
    this.child.stdout?.on("data", (chunk: Buffer) => {
      this.#stdout += chunk;
      this.#look();
    });
    this.child.stderr?.on("data", (chunk: Buffer) => {
      this.#stderr += chunk;
      this.#look();
    });
    this.ended = new Promise((resolve, reject) => {
      this.child.on("error", reject);
      this.child.on("close", (status) => {
        this.#look();
        resolve({ status, stdout: this.#stdout, stderr: this.#stderr });
      });
    });
  }

  /** Output so far. */
  get printed(): Omit<CommandResult, "status"> {
    return { stdout: this.#stdout, stderr: this.#stderr };
  }

  /**
   * Resolves when `pattern` is found in the output; fails when the process ends without it.
   *
   * @param since Output that does not count because it was printed before.
   */
  async until(pattern: RegExp, since = { stdout: "", stderr: "" }): Promise<RegExpExecArray> {
    for (;;) {
      const printed = this.#stdout.slice(since.stdout.length) + this.#stderr.slice(since.stderr.length);
      const found = pattern.exec(printed);
      if (found !== null) return found;
      const { exitCode, signalCode } = this.child;
      if (exitCode !== null || signalCode !== null) throw new Error(`ended without ${pattern}:\n${printed}`);
      await new Promise<void>((resolve) => this.#watchers.push(resolve));
    }
  }

  /** Waits for the address of a server that reports that it is ready. */
  async url(): Promise<string> {
    const [url] = await this.until(/https?:\/\/127\.0\.0\.1:\d+/);
    return url;
  }

  /** Kills the process if it still runs, so that a failed test leaves none behind. */
  [Symbol.dispose](): void {
    this.child.kill("SIGKILL");
  }

  #look(): void {
    for (const wake of this.#watchers.splice(0)) wake();
  }
}

/** Runs a command line to its end. */
export function runCommand(args: readonly string[], options?: CommandOptions): Promise<CommandResult> {
  return new CommandProcess(args, options).ended;
}
