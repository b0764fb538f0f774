import { existsSync } from "node:fs";
import { dirname, relative, resolve } from "node:path";
import { type BoundSocket, bindSocket, type SocketUse } from "../../app/bound-socket.js";
import { watchSignals } from "../../app/stop-signals.js";
import { createDeferred, systemClock } from "../../base/clock.js";
import { fail } from "../../failure/failures.js";
import { ServingError } from "../../failure/serving-error.js";
import { parseEntryName } from "../../load/find-entry.js";
import { guardOutputs } from "../../observe/guarded-output.js";
import type { CommandContext, ParsedArgs } from "../command.js";
import { formatFailure } from "../format-failure.js";
import { findEnvFile, findPackageFolder } from "../load-app.js";
import { formatReady } from "../run-serve.js";
import { formatDuration, type Output } from "../terminal.js";
import { VersionProcess } from "./version-process.js";
import { type ReadyMessage, type VersionEnd, type VersionNews, Versions } from "./versions.js";
import { WatchedPaths, watchFiles } from "./watch-files.js";

/**
 * Runs `ekiben serve --watch`: one version of an app after another, each in a child process, on this process's sockets.
 *
 * This process loads none of the author's code, so the author's code cannot end it.
 */
export async function runWatch({ args, words, terminal: { err } }: CommandContext): Promise<number> {
  guardOutputs();
  const signals = watchSignals((text) => err.write(text));
  const paths = findPaths(args);
  const sockets = new SharedSockets();
  const firstReady = createDeferred<void>();
  let shown: ReadyMessage | undefined;
  const versions = new Versions({
    clock: systemClock,
    run: (events) =>
      new VersionProcess({ args: words, bind: (host, port, use) => sockets.bind(host, port, use), events }),
    tell: (news) => {
      err.write(formatNews(news, shown, err));
      if (news.kind !== "ready") return;
      shown = news.ready;
      const { url, adminUrl } = news.ready;
      void sockets.keepOnly(adminUrl === undefined ? [url] : [url, adminUrl]);
      firstReady.resolve();
    },
  });
  // A version that is too busy to see its channel close would outlive this process.
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

/** Chooses the folder to watch: that of the nearest package.json above the service file, else the file's own. */
function findPaths({ positionals, own: given }: ParsedArgs): WatchedPaths {
  const { file } = parseEntryName(positionals[0]);
  const serviceFile = resolve(file);
  const own = dirname(serviceFile);
  if (!existsSync(own)) throw fail("file_not_found", { file });
  const folder = findPackageFolder(own) ?? own;
  const appFile = given.get("config");
  return new WatchedPaths({
    folder,
    serviceFile,
    appFile: appFile && resolve(appFile),
    envFile: findEnvFile(given, own),
  });
}

/** Maximum number of files of one change that are named. */
const maxNamed = 3;

/** Formats `"changed: model.ts — starting version 2"`. */
export function formatChange(files: readonly string[], number: number, { paint }: Output): string {
  const names = files.slice(0, maxNamed).map((file) => paint("bold", relative(process.cwd(), file)));
  const more = files.length > maxNamed ? ` and ${files.length - maxNamed} more` : "";
  return `changed: ${names.join(", ")}${more} — starting version ${number}\n`;
}

/** Formats one event. @param shown Address and apis shown last; they are not shown again unless they changed. */
export function formatNews(news: VersionNews, shown: ReadyMessage | undefined, output: Output): string {
  const { paint } = output;
  const version = `version ${news.number}`;
  switch (news.kind) {
    case "ready":
      return formatReadyNews(news, shown, output);
    case "drained":
      return `${paint("dim", `${version} stopped after ${formatDuration(news.ms)}`)}\n`;
    case "failed": {
      const next = news.serving === undefined ? "waiting for a change" : `version ${news.serving} keeps serving`;
      return `${paint("red", `${version} ${formatVersionEnd(news.end)}`)}; ${next}\n`;
    }
    case "ended": {
      const { restartMs } = news;
      const next =
        restartMs === undefined ? "the next version is already starting" : `restarting${formatPause(restartMs)}`;
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

/** Formats the end of a version that was not ready yet. With exit code 1 it has shown its error already. */
const formatVersionEnd = ({ code, how }: VersionEnd): string =>
  code === 1 && how.endsWith("exit code 1") ? "failed to start" : `${how} before it was ready`;

/** Holds the sockets that all versions of an app serve on. Sockets stay bound while no version runs. */
export class SharedSockets {
  readonly #bound = new Map<string, Promise<BoundSocket>>();

  /** Returns the socket of an address, each time the same, also for port 0. @throws {ServingError} `port_in_use`. */
  bind(host: string, port: number, use: SocketUse): Promise<BoundSocket> {
    const key = `${use} ${host} ${port}`;
    const known = this.#bound.get(key);
    if (known !== undefined) return known;
    const bound = this.#bindNew(host, port);
    this.#bound.set(key, bound);
    bound.catch(() => this.#bound.delete(key));
    return bound;
  }

  /** Closes all sockets except those that serve now. */
  async keepOnly(urls: readonly string[]): Promise<void> {
    for (const [key, pending] of [...this.#bound]) {
      const socket = await pending.catch(() => undefined);
      if (socket === undefined || urls.includes(socket.url)) continue;
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
      throw new Error(`port ${port} stays bound to another host until this command is restarted`);
    }
    throw new Error(`Node ${process.versions.node} cannot share a socket between processes, which --watch needs`);
  }
}
