#!/usr/bin/env node
import { findProjectCli } from "./find-project-cli.js";
import { runCommandLine } from "./run-command-line.js";
import { createOutput } from "./terminal.js";

const { stdout, stderr, env } = process;
const args = process.argv.slice(2);
const projectCli = findProjectCli(args);
if (projectCli === undefined) {
  // A reader such as `head` may go away first; that is no failure.
  stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));
  const terminal = { out: createOutput(stdout, env), err: createOutput(stderr, env) };
  const code = await runCommandLine({ args, env, terminal });
  // An author's file may have left timers or threads behind; what was written goes out first.
  await new Promise((resolve) => stdout.write("", resolve));
  process.exit(code);
} else {
  await import(projectCli);
}
