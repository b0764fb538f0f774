// Entry of the process of one version   <-> version-process.ts
import { keepCompiled } from "../../load/keep-compiled.js";

keepCompiled();

const { connectWatcher } = await import("./watcher.js");
const watcher = connectWatcher();
const { runProcess } = await import("../run-command-line.js");
await runProcess(watcher);
