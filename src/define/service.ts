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

/** The files that may define a service class, as URLs, the likeliest first. */
export function readServiceFiles(service: object): readonly string[] {
  return (service as { [filesKey]?: readonly string[] })[filesKey] ?? [];
}
