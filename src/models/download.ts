import { open, stat, statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { type Clock, pause } from "../base/clock.js";

// Downloads one file to a path, part by part.
//
// DL1  A transfer that breaks off is continued where it ended, if the server can; else it begins again.
// DL2  Every wait is bounded: for headers, between two parts, and in total. So are redirects and tries.
// DL3  The file may be incomplete when it throws, and is continued by the next call. It is never taken for the whole
//      before its digest was checked.

/** Longest wait for the headers of an answer, and between two parts of its body. */
const silenceMs = 30_000;
/** Longest time for one file. */
const mostMs = 6 * 3_600_000;
const mostRedirects = 5;
/** Most tries in a row without progress. A try has progress when it brings this many bytes. */
const mostTries = 5;
const progressBytes = 1024 ** 2;
const mostTotalTries = 1_000;
const mostPauseMs = 30_000;

/** Wish for a file. */
export interface DownloadWish {
  readonly url: URL;
  /** Path of the file; may have the beginning of it already. */
  readonly target: string;
  /** Headers for the origin of `url`, such as a token. They are not sent to another origin. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /** Wait before the second try; doubles with each. */
  readonly pauseMs: number;
  /** Called after each part. @param totalBytes `undefined` when the server does not say. */
  readonly onProgress: (doneBytes: number, totalBytes: number | undefined) => void;
}

/** The file can't be had: an answer that another try would not change. */
export class DownloadRefused extends Error {
  /** HTTP status; 0 when there was none. */
  readonly status: number;

  constructor(message: string, status = 0) {
    super(message);
    this.status = status;
  }
}

/**
 * Downloads a file. Resolves when all of it was written.
 *
 * @throws {DownloadRefused} when the server does not have or give it.
 * @throws {Error} of the network after the last try, and of the disk at once.
 */
export async function download(wish: DownloadWish): Promise<void> {
  const { clock, signal, pauseMs } = wish;
  const until = clock.now() + mostMs;
  for (let [tries, all] = [1, 1]; ; tries++, all++) {
    const before = await sizeOf(wish.target);
    try {
      await transfer(wish, before, until);
      return;
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (error instanceof DownloadRefused || isOfDisk(error)) throw error;
      if ((await sizeOf(wish.target)) - before >= progressBytes) tries = 1;
      if (tries >= mostTries || all >= mostTotalTries || clock.now() > until) throw error;
      await pause(clock, Math.min(mostPauseMs, pauseMs * 2 ** (tries - 1)), signal);
    }
  }
}

const sizeOf = (path: string): Promise<number> =>
  stat(path).then(
    ({ size }) => size,
    () => 0,
  );

/** True for an error of the file system, such as a full disk. Errors of the network have other codes. */
export const isOfDisk = (error: unknown): boolean =>
  ["ENOSPC", "EDQUOT", "EACCES", "EPERM", "EROFS", "EIO", "EFBIG", "ENOTDIR", "ENOENT"].includes(
    String((error as NodeJS.ErrnoException | undefined)?.code),
  );

async function transfer(wish: DownloadWish, have: number, until: number): Promise<void> {
  const watch = new SilenceWatch(wish);
  try {
    const response = await request(wish, have, watch);
    const from = response.status === 206 ? have : 0;
    const length = readLength(response);
    const total = length === undefined ? undefined : from + length;
    if (length !== undefined) await checkRoom(wish.target, length);
    const file = await open(wish.target, from === 0 ? "w" : "a");
    let done = from;
    try {
      wish.onProgress(done, total);
      for await (const part of response.body ?? []) {
        watch.restart();
        // Unlike `write`, it writes all of it.
        await file.writeFile(part as Uint8Array);
        if (wish.clock.now() > until) throw new Error(`it takes longer than ${mostMs / 3_600_000} hours`);
        done += (part as Uint8Array).length;
        wish.onProgress(done, total);
      }
      await file.datasync();
    } finally {
      await file.close();
    }
    if (total !== undefined && done !== total) throw new Error(`${done} of ${total} bytes have arrived`);
  } catch (error) {
    throw watch.reason ?? readCause(error);
  } finally {
    watch.stop();
  }
}

/** Aborts a request after a silence. */
class SilenceWatch {
  readonly #clock: Clock;
  readonly #controller = new AbortController();
  readonly signal: AbortSignal;
  #timer: { clear(): void } | undefined;
  /** Set when the silence was too long. */
  reason: Error | undefined;

  constructor({ clock, signal }: DownloadWish) {
    this.#clock = clock;
    this.signal = AbortSignal.any([signal, this.#controller.signal]);
    this.restart();
  }

  restart(): void {
    this.#timer?.clear();
    this.#timer = this.#clock.setTimer(() => {
      this.reason = new Error(`nothing has arrived for ${silenceMs / 1000} s`);
      this.#controller.abort(this.reason);
    }, silenceMs);
  }

  stop(): void {
    this.#timer?.clear();
  }
}

/** Sends the request, and follows redirects. */
async function request(wish: DownloadWish, have: number, watch: SilenceWatch): Promise<Response> {
  let { url } = wish;
  for (let redirects = 0; ; redirects++) {
    const own = url.origin === wish.url.origin ? wish.headers : {};
    // A compressed body could not be continued by bytes.
    const headers = { ...own, "accept-encoding": "identity", ...(have > 0 && { range: `bytes=${have}-` }) };
    const response = await fetch(url, { headers, redirect: "manual", signal: watch.signal }).catch((error: unknown) => {
      throw readCause(error);
    });
    const next = response.headers.get("location");
    if ([301, 302, 303, 307, 308].includes(response.status) && next !== null) {
      await response.body?.cancel();
      if (redirects >= mostRedirects) throw new DownloadRefused(`it redirects more than ${mostRedirects} times`);
      url = followTo(next, url);
      continue;
    }
    const { status } = response;
    // Its beginning is of another file, or the server continues it elsewhere.
    if (have > 0 && (status === 416 || (status === 206 && !isContinued(response, have)))) {
      await response.body?.cancel();
      return request(wish, 0, watch);
    }
    if (status === 200 || (have > 0 && status === 206)) return response;
    await response.body?.cancel();
    throw toError(status);
  }
}

function followTo(location: string, from: URL): URL {
  const url = URL.canParse(location, from.href) ? new URL(location, from) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) throw new DownloadRefused("it redirects to no web address");
  if (from.protocol === "https:" && url.protocol !== "https:") {
    throw new DownloadRefused(`it redirects from https to ${url.protocol.slice(0, -1)} at ${url.host}`);
  }
  return url;
}

function toError(status: number): Error {
  const text = `the server answers with status ${status}`;
  return status === 408 || status === 425 || status === 429 || status >= 500
    ? new Error(text)
    : new DownloadRefused(text, status);
}

/** True when a partial answer begins where the file ends. */
const isContinued = ({ headers }: Response, have: number): boolean =>
  new RegExp(`^bytes ${have}-\\d+/`).test(headers.get("content-range") ?? "");

function readLength({ headers }: Response): number | undefined {
  const text = headers.get("content-length") ?? "";
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** The fetch of Node says only "fetch failed"; the reason is its cause. */
function readCause(error: unknown): unknown {
  const { cause } = (error ?? {}) as { cause?: unknown };
  return cause instanceof Error ? cause : error;
}

/** Refuses a file that the disk has no room for, before it is begun. @throws {Error} with the code `ENOSPC`. */
async function checkRoom(target: string, bytes: number): Promise<void> {
  const { blocks, bavail, bsize } = await statfs(dirname(target));
  const free = bavail * bsize;
  // Some network file systems tell no size at all.
  if (blocks === 0 || bytes <= free) return;
  const text = `${formatMegabytes(bytes)} are to come, and its disk has ${formatMegabytes(free)} free`;
  throw Object.assign(new Error(text), { code: "ENOSPC" });
}

/** Formats bytes for people: `"12.3 MB"`. */
export const formatMegabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
