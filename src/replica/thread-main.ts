// Entry of a replica's worker thread   <-> placement/thread.ts
import { type MessagePort, parentPort } from "node:worker_threads";
import type { ControlPort } from "../placement/control.js";
import { ReplicaSite } from "../site/replica-site.js";

const parent = parentPort as MessagePort;
const port: ControlPort = {
  send: (message) => parent.postMessage(message),
  onMessage: (receive) => parent.on("message", (message) => receive(message, undefined)),
};
// In a worker thread this ends the thread alone.
new ReplicaSite(port, () => process.exit(0));
