import module from "node:module";

/**
 * Lets Node 22 and newer keep what they compile of all that is loaded from here on: later starts are faster, and a TypeScript
 * file that was made JavaScript once needs no compiler in memory again (a replica of one small service takes 16 MiB less).
 *
 * It holds for the calling thread alone. `NODE_DISABLE_COMPILE_CACHE` turns it off, `NODE_COMPILE_CACHE` names the folder.
 */
export function keepCompiled(): void {
  (module as { enableCompileCache?: () => unknown }).enableCompileCache?.();
}
