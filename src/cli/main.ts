#!/usr/bin/env node
import { keepTickShape } from "../base/keep-tick-shape.js";
import { keepCompiled } from "../load/keep-compiled.js";
import { findProjectCli } from "./find-project-cli.js";

keepTickShape();
keepCompiled();

const projectCli = findProjectCli(process.argv.slice(2));
if (projectCli === undefined) {
  const { runProcess } = await import("./run-process.js");
  await runProcess();
} else {
  await import(projectCli);
}
