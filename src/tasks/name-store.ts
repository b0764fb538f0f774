import { lstat, readlink, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type FailureDetails, fail } from "../failure/fail.js";
import { ServingError } from "../failure/serving-error.js";

/** A store that could not be opened. */
export interface UnopenedStore {
  /** In words. */
  readonly place: string;
  /** Of SQLite: the data folder. */
  readonly folder: string | undefined;
}

const named = ["task_store_unavailable", "task_store_full"] as const;
type NamedId = (typeof named)[number];

/**
 * Why a store could not be opened, with its place, and with what the system said. Only who starts the app reads it: calls that fail
 * later do not say where the store is.
 */
export async function nameStore(error: unknown, { place, folder }: UnopenedStore): Promise<unknown> {
  if (!(error instanceof ServingError) || !named.includes(error.id as NamedId)) return error;
  const { engine, problem } = error.details as FailureDetails<NamedId>;
  const { cause } = error;
  const ground = folder === undefined ? undefined : await describeGround(folder);
  const said = cause instanceof Error && cause.message !== "" ? ` (${cause.message})` : "";
  return fail(error.id as NamedId, { engine, problem: `${ground ?? `${place}: ${problem}`}${said}` }, { cause });
}

/** What stands where the folder or its database should be; `undefined` where nothing odd does. */
async function describeGround(folder: string): Promise<string | undefined> {
  for (let at = folder; ; at = dirname(at)) {
    const problem = await describePath(at, "folder");
    if (problem !== undefined) return problem;
    if (at === dirname(at)) break;
  }
  return describePath(join(folder, "tasks.db"), "file");
}

async function describePath(path: string, expected: "file" | "folder"): Promise<string | undefined> {
  const [own, target] = await Promise.all([lstat(path), stat(path)].map((look) => look.catch(() => undefined)));
  if (own?.isSymbolicLink() === true && target === undefined) {
    return `${path} is a link to ${await readlink(path).catch(() => "something")}, which is not there`;
  }
  if (target === undefined) return undefined;
  const isFitting = expected === "folder" ? target.isDirectory() : target.isFile();
  return isFitting ? undefined : `${path} is no ${expected}`;
}
