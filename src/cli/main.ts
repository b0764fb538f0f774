#!/usr/bin/env node
import module from "node:module";
import { findProjectCli } from "./find-project-cli.js";

// Node 22 and newer keep what they compiled; everything loaded from here on then starts faster the second time.
(module as { enableCompileCache?: () => unknown }).enableCompileCache?.();

const projectCli = findProjectCli(process.argv.slice(2));
if (projectCli === undefined) {
  const { runProcess } = await import("./run-process.js");
  await runProcess();
} else {
  await import(projectCli);
}
