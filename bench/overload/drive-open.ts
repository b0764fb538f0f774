import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { OpenLoad, OpenResult } from "./open-loop.ts";

const generator = fileURLToPath(import.meta.resolve("./open-loop.ts"));

/** Offers load from a process of its own; resolves when the last client has its answer or is gone. */
export async function driveOpen(load: OpenLoad): Promise<OpenResult> {
  const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", generator, JSON.stringify(load)]);
  // JSON has no NaN: times of answers that there were none of.
  return JSON.parse(stdout, (_, value: unknown) => value ?? Number.NaN) as OpenResult;
}
