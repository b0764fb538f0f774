import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { watchSignals } from "../../app/stop-signals.js";
import { systemClock } from "../../base/clock.js";
import { createDeferred } from "../../base/deferred.js";
import { fail } from "../../failure/fail.js";
import { parseEntryName } from "../../load/find-entry.js";
import { guardOutputs } from "../../observe/guarded-output.js";
import type { CommandContext } from "../command.js";
import { formatFailure } from "../format-failure.js";
import { formatChange, formatNews } from "./format-news.js";
import { SharedSockets } from "./shared-sockets.js";
import type { ReadyMessage } from "./version-messages.js";
import { VersionProcess } from "./version-process.js";
import { Versions } from "./versions.js";
import { watchFiles } from "./watch-files.js";
import { WatchedPaths } from "./watched-paths.js";

/**
 * `ekiben serve --watch`: runs one version of an app after another, each in a process of its own, on sockets of this one.
 *
 * None of the author's code is loaded here, so that nothing it does can end the watching.
 */
export async function runWatch({ args, words, terminal: { err } }: CommandContext): Promise<number> {
  guardOutputs();
  const signals = watchSignals((text) => err.write(text));
  const paths = findPaths(args.positionals[0], args.own.get("config"));
  const sockets = new SharedSockets();
  const firstReady = createDeferred<void>();
  let shown: ReadyMessage | undefined;
  const versions = new Versions({
    clock: systemClock,
    run: (events) => new VersionProcess({ args: words, bind: (host, port) => sockets.bind(host, port), events }),
    tell: (news) => {
      err.write(formatNews(news, shown, err));
      if (news.kind !== "ready") return;
      shown = news.ready;
      void sockets.keepOnly(news.ready.url);
      firstReady.resolve();
    },
  });
  // Whatever ends this process: a version that is too busy to see its channel close would outlive it.
  process.once("exit", () => versions.kill());
  const watch = watchFiles({
    paths,
    clock: systemClock,
    onChange: (files) => {
      err.write(formatChange(files, versions.nextNumber, err));
      versions.startNext();
    },
    onFailure: (error) => err.write(formatFailure(error, err)),
  });
  err.write(`watching ${paths.folders.join(" and ")}\n`);
  versions.startNext();
  await firstReady.promise;
  await signals.ready();
  watch.close();
  return versions.stop();
}

/** What is watched: the folder of the nearest package.json above the service file, else the file's own. */
function findPaths(entry: string | undefined, appFile: string | undefined): WatchedPaths {
  const { file } = parseEntryName(entry);
  const serviceFile = resolve(file);
  const own = dirname(serviceFile);
  if (!existsSync(own)) throw fail("file_not_found", { file });
  const folder = findPackageFolder(own) ?? own;
  return new WatchedPaths({ folder, serviceFile, appFile: appFile === undefined ? undefined : resolve(appFile) });
}

function findPackageFolder(folder: string): string | undefined {
  if (existsSync(join(folder, "package.json"))) return folder;
  return dirname(folder) === folder ? undefined : findPackageFolder(dirname(folder));
}
