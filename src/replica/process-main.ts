// Entry of a replica's child process   <-> placement/process.ts
import type { ControlPort } from "../placement/control.js";
import { ReplicaSite } from "../site/replica-site.js";

// Ctrl-C reaches every process of a terminal; the supervisor decides what it means and says so on the control channel.
process.on("SIGINT", () => {});
process.on("SIGTERM", () => {});
// The supervisor is gone: nobody would ever end this process.
process.on("disconnect", () => process.exit(1));

const port: ControlPort = {
  send: (message) => process.send?.(message),
  onMessage: (receive) => process.on("message", receive as never),
};
new ReplicaSite(port, () => process.exit(0));
