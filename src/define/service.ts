import { dirname } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Logger } from "../base/logger.js";
import { type Copy, ownCopy, ownFolder, shareState } from "../base/shared-state.js";
import type { HttpOptions, ServiceFileOptions } from "../options/app-file.js";

/** Argument of `Service(options)`; every field is an option (see `ekiben options`). */
export interface ServiceOptions extends Omit<ServiceFileOptions, "idempotent"> {
  /** Name of the service in the graph, in logs, metrics and options. Default: the class's name. */
  readonly name?: string;
  /** Read from the entry service. */
  readonly http?: HttpOptions;
}

const optionsKey: unique symbol = Symbol.for("ekiben.service");
const filesKey: unique symbol = Symbol.for("ekiben.files");
const copyKey: unique symbol = Symbol.for("ekiben.copy");

/** The service whose fields are being initialised, or were last. */
export const construction = shareState("construction", (): { instance: object | undefined } => ({
  instance: undefined,
}));

/**
 * The base class of a service: `class Model extends Service({ replicas: 2 }) { … }`.
 *
 * A service is an ordinary class whose fields are made by `api()` and `depends()`; one without dependencies may be made
 * with `new` and called in a unit test.
 */
export function Service(options: ServiceOptions = {}): abstract new () => ServiceHooks {
  const trace = noteCallers();
  return class implements ServiceHooks {
    static readonly [optionsKey] = options;
    static get [filesKey](): readonly string[] {
      return trace();
    }
    static readonly [copyKey] = ownCopy;
    constructor() {
      construction.instance = this;
    }
    start(_context: StartContext): void | Promise<void> {}
    stop(): void | Promise<void> {}
    ready(): boolean | Promise<boolean> {
      return true;
    }
  };
}

/** The options of a service class; `undefined` when `value` is not one. */
export function readServiceOptions(value: unknown): ServiceOptions | undefined {
  return typeof value === "function" ? (value as { [optionsKey]?: ServiceOptions })[optionsKey] : undefined;
}

/** The name of a service in its graph. */
export const readServiceName = (service: ServiceLike): string => readServiceOptions(service)?.name ?? service.name;

interface ServiceLike {
  readonly name: string;
}

/** The copy of ekiben that a service class was made with; `undefined` for one so old that it did not say. */
export function readServiceCopy(service: object): Copy | undefined {
  return (service as { [copyKey]?: Copy })[copyKey];
}

/**
 * The files whose code made the base of a service class, as URLs, the likeliest first. A class that extends one of another file has
 * the files of that one: what defines a class itself, only the engine can tell (`load/entry-location.ts`).
 */
export function readServiceFiles(service: object): readonly string[] {
  return (service as { [filesKey]?: readonly string[] })[filesKey] ?? [];
}

/** How many frames above `Service()` are looked at: an author may have made a base class of their own. */
const maxFrames = 12;

/**
 * Notes the code that called this, and returns a function that reads which files it is in: URLs, innermost first, without those of
 * ekiben and of Node. Frames are read when that function is first called: only where nothing else says which file has a class.
 */
export function noteCallers(): () => readonly string[] {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = maxFrames;
  const trace = new Error();
  Error.stackTraceLimit = stackTraceLimit;
  let files: readonly string[] | undefined;
  return () => (files ??= readFiles(trace));
}

/** The engine calls `prepareStackTrace` when `stack` is first read. */
function readFiles(trace: Error): readonly string[] {
  const { prepareStackTrace } = Error;
  try {
    Error.prepareStackTrace = (_, frames) => frames;
    const frames = trace.stack as unknown as readonly NodeJS.CallSite[];
    return [...new Set(frames.map((frame) => toUrl(frame.getFileName())).filter(isAuthors))];
  } finally {
    Error.prepareStackTrace = prepareStackTrace;
  }
}

/** Returns the URL of a file that is named by its URL or its path. */
export const toFileUrl = (file: string | URL): string =>
  String(file).startsWith("file:") ? String(file) : pathToFileURL(String(file)).href;

/** The engine names a file by its path or its URL; a module of Node as `node:fs`, evaluated code not at all. */
function toUrl(file: string | null | undefined): string {
  return file?.startsWith("/") ? pathToFileURL(file).href : (file ?? "");
}

function isAuthors(url: string): boolean {
  return url.startsWith("file:") && dirname(dirname(fileURLToPath(url))) !== ownFolder;
}

/** What a replica may use; made from the service's `resources`. */
export interface GrantedResources {
  /** Threads for model runtimes (`intraOpNumThreads` and the like). At least 1. */
  readonly cpuThreads: number;
  /** Bytes; `Infinity` when the service declares no memory. */
  readonly memoryBytes: number;
  /** Device ids; empty without `gpu`. */
  readonly gpus: readonly number[];
}

/** What `start()` is given. */
export interface StartContext {
  readonly resources: GrantedResources;
  readonly replica: { readonly index: number; readonly id: string };
  /** Adds service and replica to every line. */
  readonly log: Logger;
  /** Aborted when the app stops before `start()` has finished. */
  readonly signal: AbortSignal;
}

/** The lifecycle hooks every service has; all optional to override. */
export interface ServiceHooks {
  /** Loads what the service needs. Calls are taken only after it has resolved. */
  start(context: StartContext): void | Promise<void>;
  /** Lets go of it again, after the last call has ended. */
  stop(): void | Promise<void>;
  /** Whether the replica may receive calls now; asked by readiness probes. */
  ready(): boolean | Promise<boolean>;
}

/** Names an api or a dependency can't have: the hooks, and what would make a promise of a handle. */
export const reservedNames: readonly string[] = ["start", "stop", "ready", "then"];
