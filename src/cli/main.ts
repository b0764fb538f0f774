#!/usr/bin/env node
import module from "node:module";
import { findProjectCli } from "./find-project-cli.js";

// Node 22 and newer keep what they compiled; everything loaded from here on then starts faster the second time.
(module as { enableCompileCache?: () => unknown }).enableCompileCache?.();

const { stdout, stderr, env } = process;
const args = process.argv.slice(2);
const projectCli = findProjectCli(args);
if (projectCli === undefined) {
  const [{ runCommandLine }, { createOutput }] = await Promise.all([
    import("./run-command-line.js"),
    import("./terminal.js"),
  ]);
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
