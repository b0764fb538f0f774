#!/usr/bin/env node
import { keepCompiled } from "../load/keep-compiled.js";
import { findProjectCli } from "./find-project-cli.js";

keepCompiled();

const projectCli = findProjectCli(process.argv.slice(2));
if (projectCli === undefined) {
  const { runProcess } = await import("./run-process.js");
  await runProcess();
} else {
  await import(projectCli);
}
