import { type Copy, ownCopy } from "../base/shared-state.js";
import type { HttpOptions, ServiceFileOptions } from "../options/app-file.js";
import { readDefinitionFiles } from "./definition-files.js";
import type { ServiceHooks, StartContext } from "./lifecycle.js";

/** What `Service(options)` takes; every field is a row of the option table (see `ekiben options`). */
export interface ServiceOptions extends Omit<ServiceFileOptions, "idempotent"> {
  /** Default: the class's name. */
  readonly name?: string;
  /** Read from the entry service. */
  readonly http?: HttpOptions;
}

const optionsKey: unique symbol = Symbol.for("ekiben.service");
const filesKey: unique symbol = Symbol.for("ekiben.files");
const copyKey: unique symbol = Symbol.for("ekiben.copy");

/**
 * The base class of a service: `class Model extends Service({ replicas: 2 }) { … }`.
 *
 * A service is an ordinary class whose fields are made by `api()` and `depends()`; one without dependencies may be made
 * with `new` and called in a unit test.
 */
export function Service(options: ServiceOptions = {}): abstract new () => ServiceHooks {
  const files = readDefinitionFiles();
  return class implements ServiceHooks {
    static readonly [optionsKey] = options;
    static readonly [filesKey] = files;
    static readonly [copyKey] = ownCopy;
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
 * the files of that one: what defines a class itself, only the engine can tell (`load/class-files.ts`).
 */
export function readServiceFiles(service: object): readonly string[] {
  return (service as { [filesKey]?: readonly string[] })[filesKey] ?? [];
}
