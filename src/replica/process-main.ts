// Entry of a replica's child process   <-> placement/process.ts
import { keepCompiled } from "../load/keep-compiled.js";
import type { ControlPort } from "../placement/control.js";
import type { ReplicaSite } from "../site/replica-site.js";

// Ctrl-C reaches every process of a terminal; the supervisor decides what it means and says so on the control channel.
process.on("SIGINT", () => {});
process.on("SIGTERM", () => {});

let site: ReplicaSite | undefined;
// The supervisor is gone: nobody would ever end this process, or remove what the app has left.
process.on("disconnect", () => {
  site?.removeFolders();
  process.exit(1);
});

const port: ControlPort = {
  send: (message) => process.send?.(message),
  onMessage: (receive) => process.on("message", receive as never),
};

keepCompiled();
const { ReplicaSite: Site } = await import("../site/replica-site.js");
site = new Site(port, () => process.exit(0));
