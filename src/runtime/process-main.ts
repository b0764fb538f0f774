// Entry of a replica's child process   <-> placement/process.ts

import { keepCompiled, keepTickShape } from "../load/keep-compiled.js";
import { guardOutputs, whenWritten } from "../observe/guarded-output.js";
import type { ControlPort } from "../placement/control.js";
import type { RuntimeMain } from "./runtime-main.js";

// Ctrl-C reaches every process of a terminal. The supervisor decides what it means and sends orders on the control
// channel.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"]) process.on(signal, () => {});

// Before the author's files are loaded, since they may print.
guardOutputs();
keepTickShape();

let runtime: RuntimeMain | undefined;
// The supervisor is gone. Nothing else would end this process or remove the folders of the app.
process.on("disconnect", () => {
  runtime?.removeFolders();
  process.exit(1);
});

const port: ControlPort = {
  // Errors are ignored: when the supervisor is gone, `disconnect` follows.
  send: (message) => process.send?.(message, undefined, undefined, () => {}),
  onMessage: (receive) => process.on("message", receive as never),
};

keepCompiled();
const main = await import("./runtime-main.js");
runtime = new main.RuntimeMain(port, () => void whenWritten().then(() => process.exit(0)));
