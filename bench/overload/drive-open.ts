import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { OpenLoad, OpenResult } from "./open-loop.ts";

const generator = fileURLToPath(import.meta.resolve("./open-loop.ts"));

/** Sends load from a process of its own. Resolves when the last client has its answer or has left. */
export async function driveOpen(load: OpenLoad): Promise<OpenResult> {
  const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", generator, JSON.stringify(load)]);
  // JSON has no NaN, which stands for times without answers.
  return JSON.parse(stdout, (_, value: unknown) => value ?? Number.NaN) as OpenResult;
}
