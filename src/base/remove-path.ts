import { rmSync } from "node:fs";

/**
 * Removes a file or a folder with all that is in it, as far as that can be done: what is left is no reason to fail. `force` alone
 * still throws where somebody has put something else in the way.
 */
export function removePath(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch {
    // Not ours any more.
  }
}
