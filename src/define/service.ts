import { dirname } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Logger } from "../base/logger.js";
import { type Copy, ownCopy, ownFolder, shareState } from "../base/shared-state.js";
import type { HttpOptions, ServiceFileOptions } from "../options/app-file.js";
import type { Interceptor } from "./interceptor.js";

/** Argument of `Service(options)`; every field but `intercept` is an option (see `ekiben options`). */
export interface ServiceOptions extends Omit<ServiceFileOptions, "idempotent"> {
  /** Name of the service in the graph, in logs, metrics and options. Default: the class's name. */
  readonly name?: string;
  /** Options of the HTTP server; read only from the entry service. */
  readonly http?: HttpOptions;
  /** Functions around each call that the service gets, the first outermost. No option: only code can give them. */
  readonly intercept?: readonly Interceptor[];
}

const optionsKey: unique symbol = Symbol.for("ekiben.service");
const filesKey: unique symbol = Symbol.for("ekiben.files");
const copyKey: unique symbol = Symbol.for("ekiben.copy");

/** The service whose fields are being initialised, or were last. Weak, so that a stopped replica is collected. */
export const construction = shareState("construction", (): { instance: WeakRef<object> | undefined } => ({
  instance: undefined,
}));

/**
 * Returns the base class of a service: `class Model extends Service({ replicas: 2 }) { … }`.
 *
 * A service is an ordinary class whose fields are made by `api()`, `depends()`, `resource()` and `model()`. A unit test
 * may create one without dependencies with `new` and call it.
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
      construction.instance = new WeakRef(this);
    }
    start(_context: StartContext): void | Promise<void> {}
    stop(): void | Promise<void> {}
    ready(): boolean | Promise<boolean> {
      return true;
    }
  };
}

/** Returns the options of a service class; `undefined` for any other value. */
export function readServiceOptions(value: unknown): ServiceOptions | undefined {
  return typeof value === "function" ? (value as { [optionsKey]?: ServiceOptions })[optionsKey] : undefined;
}

/** Returns the name of a service in its graph. */
export const readServiceName = (service: ServiceLike): string => readServiceOptions(service)?.name ?? service.name;

interface ServiceLike {
  readonly name: string;
}

/** Returns the copy of ekiben that made a service class; `undefined` for a version too old to say so. */
export function readServiceCopy(service: object): Copy | undefined {
  return (service as { [copyKey]?: Copy })[copyKey];
}

/**
 * Returns the files whose code made the base of a service class, as URLs, the most likely first. A class that extends
 * one of another file has the files of that one: only the engine knows which file defines the class itself
 * (`load/entry-location.ts`).
 */
export function readServiceFiles(service: object): readonly string[] {
  return (service as { [filesKey]?: readonly string[] })[filesKey] ?? [];
}

/** Frames above `Service()` that are read: an author may have a base class of their own. */
const maxFrames = 12;

/**
 * Notes the code that called this, and returns a function that reads which files it is in: URLs, innermost first,
 * without those of ekiben and of Node. Frames are read when that function is first called: only where nothing else says
 * which file has a class.
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

/** Resources that a replica may use, from the `resources` of its service. */
export interface GrantedResources {
  /** Threads for model runtimes (`intraOpNumThreads` and the like). At least 1. */
  readonly cpuThreads: number;
  /** Bytes; `Infinity` when the service declares no memory. */
  readonly memoryBytes: number;
  /** Ids of GPUs; empty without `gpu`. */
  readonly gpus: readonly number[];
}

/** Argument of `start()`, and of the functions that open a `resource()`. */
export interface StartContext {
  readonly resources: GrantedResources;
  readonly replica: { readonly index: number; readonly id: string };
  /** Logger that adds service and replica to every line. */
  readonly log: Logger;
  /** Aborted when the app stops before `start()` has finished. */
  readonly signal: AbortSignal;
}

/** Lifecycle hooks of a service. Overriding them is optional. */
export interface ServiceHooks {
  /** Prepares the service, after its resources are open. Calls are accepted only after it has resolved. */
  start(context: StartContext): void | Promise<void>;
  /** Releases what `start()` took, after the last call has ended and before resources are closed. */
  stop(): void | Promise<void>;
  /** Returns true when the replica may receive calls now. Readiness probes call it. */
  ready(): boolean | Promise<boolean>;
  /**
   * Interceptors of this class, inside those of `Service()`, the first outermost. Declare them with a type, so that
   * each knows the apis: `override readonly intercept: readonly Interceptor<Model>[] = […]`.
   */
  readonly intercept?: readonly ((call: never) => unknown)[];
}

/**
 * Names that an api, a dependency or a resource can't have: the hooks, the interceptors, and `then`, which would make a
 * handle a promise.
 */
export const reservedNames: readonly string[] = ["start", "stop", "ready", "intercept", "then"];
