import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(import.meta.url);

/**
 * Path of a file inside an installed package.
 *
 * Walks the `node_modules` folders itself: model packages rarely list their weights, or even `package.json`, in their
 * export map, so `require.resolve` cannot be asked.
 *
 * @throws {Error} if the package is not installed.
 */
export function resolvePackageFile(packageName: string, ...path: string[]): string {
  for (const folder of require.resolve.paths(packageName) ?? []) {
    if (existsSync(join(folder, packageName, "package.json"))) return join(folder, packageName, ...path);
  }
  throw new Error(`${packageName} is not installed. Run npm install at the root of the repository.`);
}
