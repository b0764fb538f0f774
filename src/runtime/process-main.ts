// Entry of a replica's child process   <-> placement/process.ts

import { keepCompiled, keepTickShape } from "../load/keep-compiled.js";
import { guardOutputs, whenWritten } from "../observe/guarded-output.js";
import type { ControlPort } from "../placement/control.js";
import type { RuntimeMain } from "./runtime-main.js";

// Ctrl-C reaches every process of a terminal; the supervisor decides what it means and says so on the control channel.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"]) process.on(signal, () => {});

// Before the author's files are loaded, which may print.
guardOutputs();
keepTickShape();

let runtime: RuntimeMain | undefined;
// The supervisor is gone: nobody would ever end this process, or remove what the app has left.
process.on("disconnect", () => {
  runtime?.removeFolders();
  process.exit(1);
});

const port: ControlPort = {
  // The supervisor may have gone meanwhile; the end of the channel says so.
  send: (message) => process.send?.(message, undefined, undefined, () => {}),
  onMessage: (receive) => process.on("message", receive as never),
};

keepCompiled();
const main = await import("./runtime-main.js");
runtime = new main.RuntimeMain(port, () => void whenWritten().then(() => process.exit(0)));
