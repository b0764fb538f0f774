import { relative } from "node:path";
import { formatReady } from "../format-ready.js";
import { formatDuration, type Output } from "../terminal.js";
import type { ReadyMessage } from "./version-messages.js";
import type { VersionEnd, VersionNews } from "./versions.js";

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
      return `${paint("red", `${version} ${describeFailure(news.end)}`)}; ${next}\n`;
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
const describeFailure = ({ code, how }: VersionEnd): string =>
  code === 1 && how.endsWith("exit code 1") ? "did not start" : `${how} before it was ready`;
