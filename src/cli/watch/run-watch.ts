import { existsSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { type BoundSocket, bindSocket } from "../../app/bound-socket.js";
import { watchSignals } from "../../app/stop-signals.js";
import { createDeferred, systemClock } from "../../base/clock.js";
import { fail } from "../../failure/failures.js";
import { ServingError } from "../../failure/serving-error.js";
import { parseEntryName } from "../../load/find-entry.js";
import { guardOutputs } from "../../observe/guarded-output.js";
import type { CommandContext } from "../command.js";
import { formatFailure } from "../format-failure.js";
import { formatReady } from "../run-serve.js";
import { formatDuration, type Output } from "../terminal.js";
import { VersionProcess } from "./version-process.js";
import { type ReadyMessage, type VersionEnd, type VersionNews, Versions } from "./versions.js";
import { WatchedPaths, watchFiles } from "./watch-files.js";

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

/** Files of one change that are named. */
const maxNamed = 3;

/** `"changed: model.ts — starting version 2"` */
export function formatChange(files: readonly string[], number: number, { paint }: Output): string {
  const names = files.slice(0, maxNamed).map((file) => paint("bold", relative(process.cwd(), file)));
  const more = files.length > maxNamed ? ` and ${files.length - maxNamed} more` : "";
  return `changed: ${names.join(", ")}${more} — starting version ${number}\n`;
}

/** @param shown What the last version that was ready offered; it is not shown again while it stays the same. */
export function formatNews(news: VersionNews, shown: ReadyMessage | undefined, output: Output): string {
  const { paint } = output;
  const version = `version ${news.number}`;
  switch (news.kind) {
    case "ready":
      return formatReadyNews(news, shown, output);
    case "drained":
      return `${paint("dim", `${version} stopped after ${formatDuration(news.ms)}`)}\n`;
    case "failed": {
      const next = news.serving === undefined ? "waiting for a change" : `version ${news.serving} goes on serving`;
      return `${paint("red", `${version} ${formatVersionEnd(news.end)}`)}; ${next}\n`;
    }
    case "ended": {
      const { restartMs } = news;
      const next =
        restartMs === undefined ? "the next one is starting" : `it is started again${formatPause(restartMs)}`;
      return `${paint("red", `${version} ${news.end.how}`)}; ${next}\n`;
    }
  }
}

const formatPause = (ms: number): string => (ms === 0 ? "" : ` in ${formatDuration(ms)}`);

function formatReadyNews(
  { number, ms, ready, replaced }: Extract<VersionNews, { kind: "ready" }>,
  shown: ReadyMessage | undefined,
  output: Output,
): string {
  const { url, apis } = ready;
  if (shown === undefined) return formatReady({ url, apis, ms }, output);
  const draining = replaced === undefined ? "" : `, version ${replaced} is draining`;
  const line = `${output.paint("green", `version ${number} ready`)} in ${formatDuration(ms)}${draining}\n`;
  if (shown.url === url && shown.apis === apis) return line;
  return `${line}\n  ${output.paint("bold", url)}\n\n${apis}\n\n`;
}

/** Exit code 1 is that of a command which has shown what is wrong. */
const formatVersionEnd = ({ code, how }: VersionEnd): string =>
  code === 1 && how.endsWith("exit code 1") ? "did not start" : `${how} before it was ready`;

/** The sockets that versions of an app serve on, one after another. They stay bound while no version answers. */
export class SharedSockets {
  readonly #bound = new Map<string, Promise<BoundSocket>>();

  /** The socket of an address; the same one each time, also for port 0. @throws {ServingError} `port_in_use`. */
  bind(host: string, port: number): Promise<BoundSocket> {
    const key = `${host} ${port}`;
    const known = this.#bound.get(key);
    if (known !== undefined) return known;
    const bound = this.#bindNew(host, port);
    this.#bound.set(key, bound);
    bound.catch(() => this.#bound.delete(key));
    return bound;
  }

  /** Gives back every socket but the one that serves now. */
  async keepOnly(url: string): Promise<void> {
    for (const [key, pending] of [...this.#bound]) {
      const socket = await pending.catch(() => undefined);
      if (socket === undefined || socket.url === url) continue;
      this.#bound.delete(key);
      socket.close();
    }
  }

  async #bindNew(host: string, port: number): Promise<BoundSocket> {
    const others = await Promise.allSettled(this.#bound.values());
    try {
      const socket = await bindSocket(host, port);
      if (socket !== undefined) return socket;
    } catch (error) {
      const isOwn = others.some((other) => other.status === "fulfilled" && other.value.port === port);
      if (!isOwn || !(error instanceof ServingError)) throw error;
      throw new Error(`port ${port} is bound to another host until this command is ended and started again`);
    }
    throw new Error(`this Node (${process.versions.node}) can't share a socket between processes, which --watch needs`);
  }
}
