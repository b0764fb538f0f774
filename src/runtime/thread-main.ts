// Entry of a replica's worker thread   <-> placement/thread.ts
import { type MessagePort, parentPort } from "node:worker_threads";
import { keepCompiled, keepTickShape } from "../load/keep-compiled.js";
import { guardOutputs, whenWritten } from "../observe/guarded-output.js";
import type { ControlPort } from "../placement/control.js";

guardOutputs();
keepTickShape();

const parent = parentPort as MessagePort;
const port: ControlPort = {
  send: (message) => parent.postMessage(message),
  onMessage: (receive) => parent.on("message", (message) => receive(message, undefined)),
};

keepCompiled();
const { RuntimeMain } = await import("./runtime-main.js");
// In a worker thread this ends the thread alone.
new RuntimeMain(port, () => void whenWritten().then(() => process.exit(0)));
