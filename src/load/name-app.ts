import { readFileSync } from "node:fs";
import { basename, dirname, extname, join, parse } from "node:path";

/**
 * The name of an app, by which its tasks are told from those of others in one store: `"shop/service.Checkout"`, made of the name
 * in the nearest `package.json`, the program's file without its ending, and the entry service. It stays the same when the app is
 * compiled, deployed elsewhere, or runs on several machines.
 *
 * @param file The service file of a command line, or the script that calls `serve()`.
 */
export function nameApp(file: string, entry: string): string {
  const name = `${basename(file, extname(file))}.${entry}`;
  const owner = findPackageName(dirname(file));
  return clean(owner === undefined ? name : `${owner}/${name}`);
}

function findPackageName(folder: string): string | undefined {
  const { root } = parse(folder);
  for (let at = folder; ; at = dirname(at)) {
    const name = readPackageName(join(at, "package.json"));
    if (name !== undefined || at === root || at === dirname(at)) return name;
  }
}

function readPackageName(file: string): string | undefined {
  try {
    const { name } = JSON.parse(readFileSync(file, "utf8")) as { readonly name?: unknown };
    return typeof name === "string" && name !== "" ? name : undefined;
  } catch {
    // There is none, or it is no concern of ours what is wrong with it.
    return undefined;
  }
}

/** What the option `tasks.namespace` takes. */
const clean = (name: string): string => name.replace(/[^\w@./:+-]/g, "_").slice(0, 200);
