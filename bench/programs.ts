// Programs of which a bench measures the start, and folders of which it measures the size.
import { spawn } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";

/** Measures the time from the start of a process of Node until it prints its address; then ends it by `signal`. */
export function untilListening(program: readonly string[], cwd: string, signal: NodeJS.Signals): Promise<number> {
  const begun = performance.now();
  const child = spawn(process.execPath, program, { cwd, stdio: ["ignore", "pipe", "pipe"] });
  return new Promise((resolve, reject) => {
    let output = "";
    const read = (chunk: Buffer) => {
      output += chunk;
      if (!/http:\/\/\S+:\d+/.test(output)) return;
      const ms = performance.now() - begun;
      child.removeAllListeners().once("exit", () => resolve(ms));
      child.kill(signal);
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    child.on("error", reject);
    child.on("exit", () => reject(new Error(output)));
  });
}

/** Lists the files of a folder and the folders in it, as paths. */
export function listFiles(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
}

/** Sums the sizes of files, in bytes. */
export const sizeOf = (files: readonly string[]): number => files.reduce((sum, file) => sum + statSync(file).size, 0);
