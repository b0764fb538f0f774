import { join, relative, sep } from "node:path";
import { systemClock } from "../src/base/clock.js";
import { WatchedPaths, watchFiles } from "../src/cli/watch/watch-files.js";
import { repositoryRoot } from "./repository.js";

/**
 * Watches the TypeScript and JSON files of the repository until the process ends, as `ekiben serve --watch` does.
 *
 * @param onChange Takes the paths that changed, relative to the repository and with `/`.
 */
export function watchSources(onChange: (files: readonly string[]) => void): void {
  watchFiles({
    paths: new WatchedPaths({ folder: repositoryRoot, serviceFile: join(repositoryRoot, "package.json") }),
    clock: systemClock,
    onChange: (paths) => onChange(paths.map((path) => relative(repositoryRoot, path).replaceAll(sep, "/"))),
    onFailure: (error) => console.error(error),
  });
}
