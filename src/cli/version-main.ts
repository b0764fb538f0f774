// Entry of the process of one version   <-> version-process.ts
import module from "node:module";

(module as { enableCompileCache?: () => unknown }).enableCompileCache?.();

const { connectWatcher } = await import("./watcher.js");
const watcher = connectWatcher();
const { runProcess } = await import("./run-process.js");
await runProcess(watcher);
