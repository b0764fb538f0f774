import { realpathSync } from "node:fs";
import { Session } from "node:inspector";
import { fileURLToPath, pathToFileURL } from "node:url";
import { type Clock, systemClock, within } from "../base/clock.js";
import { ownFolder } from "../base/shared-state.js";
import { type EarlierServer, expectHandover, listServers, type ServiceClass } from "../define/depends.js";
import { readServiceFiles, readServiceName, readServiceOptions, toFileUrl } from "../define/service.js";
import { fail } from "../failure/failures.js";
import { loadModule, type ModuleExports, toExports } from "./load-module.js";

/** Location from which another thread or process loads the entry service of an app. Plain data. */
export interface EntryLocation {
  /** Path of the file that exports the class, or calls `serve()` with it. */
  readonly file: string;
  /** Name of the service in the graph. */
  readonly service: string;
  /** Servers that the program had started before. */
  readonly earlier: readonly EarlierServer[];
}

/**
 * Longest import of a file that is loaded already. A file that does not finish in this time waits for the server that
 * is being started: it calls `serve()` itself.
 */
const importLimitMs = 1_000;

/** Clock whose timers keep the process alive: Node would end a program that waits for nothing else. */
const stayingClock: Clock = { ...systemClock, setTimer: (run, ms) => systemClock.setTimer(run, ms, true) };

/** Longest time a file may run on, in a replica, after a `serve()` of another class. */
const handoverLimitMs = 10_000;

/** Hints for the search of the file that has the entry service. */
interface EntrySearch {
  /** File that the program named: a URL or a path. No other file is then searched. */
  readonly from?: string | URL | undefined;
  /** Lists the files that called `serve()` or `compose()`, as URLs. One of them may wait for that call to return. */
  readonly callers?: () => readonly string[];
}

/**
 * Finds the file from which a class can be loaded again: the file that the program names, else the first that exports
 * the class of these: the files whose code made it, the file in which it is written, all other loaded files.
 *
 * @throws {ServingError} `not_importable` when there is no such file.
 */
export async function locateEntry(
  entry: ServiceClass,
  service: string,
  { from, callers = () => [] }: EntrySearch = {},
): Promise<EntryLocation> {
  const main = findScript();
  const script = main === undefined ? undefined : pathToFileURL(main).href;
  const found = from === undefined ? await findFile(entry, callers, script) : await checkFile(entry, from, script);
  if (typeof found === "string") return { file: fileURLToPath(found), service, earlier: listServers() };
  throw fail("not_importable", { service, files: found.map((url) => fileURLToPath(url)) }, { service });
}

/** @returns The file as a URL; a list with the file when neither an import nor its own `serve()` gives the class. */
async function checkFile(
  entry: ServiceClass,
  from: string | URL,
  script: string | undefined,
): Promise<string | readonly string[]> {
  // The query stays: without it the same file would be loaded a second time.
  const url = toFileUrl(from);
  const exported = isSameFile(url, script) ? canRunAgain() : await seekClass(url, entry);
  return exported === "others" ? [url] : url;
}

/** @returns The file as a URL; without one a list of the likely files. */
async function findFile(
  entry: ServiceClass,
  callers: () => readonly string[],
  script: string | undefined,
): Promise<string | readonly string[]> {
  const checked = new Map<string, Exports>();
  const findAmong = async (urls: readonly string[]): Promise<string | undefined> => {
    for (const url of urls.filter((candidate) => !checked.has(candidate))) {
      // The running script exports nothing yet; it hands its class over by its own `serve()`.
      checked.set(url, isSameFile(url, script) ? canRunAgain() : await seekClass(url, entry));
      if (checked.get(url) === "it") return url;
    }
    return undefined;
  };
  const made = readServiceFiles(entry);
  const first = await findAmong(made);
  if (first !== undefined) return first;
  const { definition, loaded } = readClassFiles(entry);
  const likely = definition === undefined ? made : [...new Set([definition, ...made])];
  const others = loaded.filter((url) => isAuthors(url) && !isSameFile(url, script));
  const later = await findAmong([...likely, ...others]);
  if (later !== undefined) return later;
  const handsOver = (url: string) =>
    isSameFile(url, script) ? canRunAgain() === "it" : checked.get(url) === "unknown yet";
  return callers().find(handsOver) ?? likely;
}

/**
 * Loads the entry class again, in a replica.
 *
 * @throws {ServingError} `unknown_service`, `entry_not_reached`, and those of `loadModule`.
 */
export async function loadEntry({ file, service, earlier }: EntryLocation): Promise<ServiceClass> {
  const met: string[] = [];
  let noteMet = () => {};
  const other = new Promise<void>((resolve) => {
    noteMet = resolve;
  });
  const handedOver = expectHandover(service, earlier, (name) => {
    met.push(name);
    noteMet();
  });
  const found = Promise.race([handedOver, loadModule(file).then((loaded) => pick(loaded, file, service))]);
  const late = other.then(() =>
    within(systemClock, handoverLimitMs, found, () => {
      throw fail("entry_not_reached", { service, file, met, limitMs: handoverLimitMs }, { service });
    }),
  );
  return Promise.race([found, late]);
}

function pick(loaded: ModuleExports, file: string, service: string): ServiceClass {
  const services = Object.values(loaded).filter((value) => readServiceOptions(value) !== undefined) as ServiceClass[];
  const found = services.find((candidate) => readServiceName(candidate) === service);
  if (found !== undefined) return found;
  throw fail("unknown_service", { service, file, known: services.map(readServiceName) }, { service });
}

/** Result of a search for the class in a file; `"unknown yet"` for a file that waits for the server being started. */
type Exports = "it" | "others" | "unknown yet";

/** Imports a file that is loaded already, which gives the very same classes, and looks for the class. */
function seekClass(url: string, entry: ServiceClass): Promise<Exports> {
  const exported = import(url).then(
    (loaded: ModuleExports): Exports => (Object.values(toExports(loaded)).includes(entry) ? "it" : "others"),
    (): Exports => "others",
  );
  return within(stayingClock, importLimitMs, exported, () => "unknown yet");
}

/** Result for the running script. A test file must not be loaded again: its tests would run again. */
const canRunAgain = (): Exports => (process.env["NODE_TEST_CONTEXT"] === undefined ? "it" : "others");

const isSameFile = (url: string, other: string | undefined): boolean => url.split("?", 1)[0] === other;

/** True for files of authors and of their packages, which may export the class; false for files of ekiben. */
const isAuthors = (url: string): boolean => !url.startsWith(`${pathToFileURL(ownFolder).href}/`);

/** File that this process was started with; `undefined` without one. */
export function findScript(): string | undefined {
  const [, script] = process.argv;
  if (script === undefined) return undefined;
  try {
    return realpathSync(script);
  } catch {
    return undefined;
  }
}

/** Files of a class, and all loaded files, as the engine knows them. URLs. */
interface ClassFiles {
  /** File with the text of the class; `undefined` when unknown. */
  readonly definition: string | undefined;
  /** All files loaded so far, also those of packages, the latest first. */
  readonly loaded: readonly string[];
}

/** Global name under which the engine finds the class. */
const place = Symbol.for("ekiben.located");

/**
 * Asks the engine itself, by its debugging protocol, within this thread: it alone knows where a class was written whose
 * base is of another file. No port is opened. Takes some 40 ms, mostly to list all files.
 *
 * Nothing is known where Node was built without that protocol, or forbids it (`--permission`).
 */
function readClassFiles(service: object): ClassFiles {
  const urls = new Map<string, string>();
  const session = new Session();
  try {
    session.connect();
    session.on("Debugger.scriptParsed", ({ params }) => urls.set(params.scriptId, params.url));
    ask(session, "Debugger.enable");
    (globalThis as { [place]?: object })[place] = service;
    const { result } = ask(session, "Runtime.evaluate", { expression: 'globalThis[Symbol.for("ekiben.located")]' });
    const { internalProperties = [] } = ask(session, "Runtime.getProperties", { objectId: result?.objectId });
    const location = internalProperties.find(({ name }) => name === "[[FunctionLocation]]")?.value?.value;
    return { definition: location && urls.get(location.scriptId), loaded: listFiles(urls) };
  } catch {
    return { definition: undefined, loaded: listFiles(urls) };
  } finally {
    delete (globalThis as { [place]?: object })[place];
    session.disconnect();
  }
}

const listFiles = (urls: ReadonlyMap<string, string>): string[] =>
  [...new Set(urls.values())].filter((url) => url.startsWith("file:")).reverse();

/** Fields of the two inspector answers that are read here. */
interface Answer {
  readonly result?: { readonly objectId?: string };
  readonly internalProperties?: readonly {
    readonly name: string;
    readonly value?: { readonly value?: { readonly scriptId: string } };
  }[];
}

/** Asks the inspector. A session in the same thread answers before `post` returns. */
function ask(session: Session, method: string, params: object = {}): Answer {
  let answer: Answer = {};
  session.post(method, params, (error: Error | null, result?: object) => {
    if (error !== null) throw error;
    answer = result as Answer;
  });
  return answer;
}
