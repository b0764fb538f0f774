import { isGuarded, whenWritten } from "../observe/guarded-output.js";
import { runCommandLine } from "./run-command-line.js";
import { createOutput } from "./terminal.js";
import type { Watcher } from "./watch/watcher.js";

/** Runs the command line that this process was started with, and ends it with the exit code. */
export async function runProcess(watcher?: Watcher): Promise<never> {
  const { stdout, stderr, env } = process;
  // A reader such as `head` may go away first; that is no failure of a command that prints, and nothing to one that serves.
  stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (!isGuarded()) process.exit(error.code === "EPIPE" ? 0 : 1);
  });
  const terminal = { out: createOutput(stdout, env), err: createOutput(stderr, env) };
  const args = process.argv.slice(2);
  const code = await runCommandLine({ args, env, terminal, ...(watcher && { watcher }) });
  // An author's file may have left timers or threads behind; what was written goes out first. Who has served does not wait
  // for a reader that is stuck; who prints is there for its reader.
  await (isGuarded() ? whenWritten() : new Promise((resolve) => stdout.write("", resolve)));
  process.exit(code);
}
