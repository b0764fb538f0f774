import { shareState } from "../base/shared-state.js";
import { fail } from "../failure/failures.js";
import { messageWithCauses } from "../failure/to-serving-error.js";
import { apiKey, type MaybePromise } from "./handle-type.js";
import { construction, readServiceName, type StartContext } from "./service.js";

// Values that a service opens before `start()` and closes after `stop()`.
//
// VR1  Resources are opened one after the other, in the order of their fields, and closed in reverse order. Only those
//      that were opened are closed.
// VR2  A field has its value before the next resource is opened. Until then it has a placeholder, and every use of it
//      throws.
// VR3  A value whose `open` ends after `close` was called is closed at once.

/** A call of `resource()` in a class. */
interface ResourceDefinition {
  readonly open: (context: StartContext) => unknown;
  readonly close: ((value: never) => unknown) | undefined;
  /** Service that was being constructed, or was last; `undefined` where none was. */
  readonly owner: object | undefined;
  /** True once a field of the owner was seen to have the placeholder. */
  isHeld: boolean;
}

interface Definitions {
  /** Definitions by the placeholders that `resource()` returned. */
  readonly byPlaceholder: WeakMap<object, ResourceDefinition>;
  /** Placeholders made so far while `findLostResource` runs. */
  made: object[] | undefined;
}

const definitions = shareState("resources", (): Definitions => ({ byPlaceholder: new WeakMap(), made: undefined }));

/**
 * Declares something that a service opens before `start()` and closes after `stop()`: a public class field.
 *
 * The field has the type of the value and, once it is open, the value itself. It is opened within the time limit of
 * `start()`, in the order of the fields, and closed in reverse order, also when a later one could not be opened. In a
 * unit test that makes the class with `new`, assign the field; `compose()` opens it.
 *
 * @param open  Opens the value; gets the context of `start()`.
 * @param close Closes the value. Default: its `Symbol.asyncDispose` or `Symbol.dispose` method, if it has one.
 */
export function resource<T>(
  open: (context: StartContext) => MaybePromise<T>,
  close?: (value: Awaited<T>) => unknown,
): Awaited<T> {
  const { made } = definitions;
  // The field of the call before has its placeholder by now, unless the field is private.
  noteHeld(made?.at(-1));
  const definition: ResourceDefinition = { open, close, owner: construction.instance?.deref(), isHeld: false };
  const placeholder: object = createPlaceholder(() => nameResource(definition, placeholder));
  definitions.byPlaceholder.set(placeholder, definition);
  made?.push(placeholder);
  return placeholder as Awaited<T>;
}

/** True for the value of a field that `resource()` made and that is not open yet. */
export const isResource = (value: unknown): boolean => readResource(value) !== undefined;

const readResource = (value: unknown): ResourceDefinition | undefined =>
  typeof value === "function" ? definitions.byPlaceholder.get(value) : undefined;

/**
 * Runs `construct`, and tells whether a resource in it is no field that can be given the value: a `#private` field, a
 * variable, an item of a list.
 */
export function findLostResource(construct: () => object): boolean {
  const outer = definitions.made;
  const made: object[] = [];
  definitions.made = made;
  try {
    const fields: readonly unknown[] = Object.values(construct());
    noteHeld(made.at(-1));
    return made.some((placeholder) => readResource(placeholder)?.isHeld === false && !fields.includes(placeholder));
  } finally {
    definitions.made = outer;
  }
}

/** A subclass may give the field another value later: the first one it had counts. */
function noteHeld(placeholder: object | undefined): void {
  const definition = readResource(placeholder);
  if (definition !== undefined) definition.isHeld = Object.values(definition.owner ?? {}).includes(placeholder);
}

/** Everything that can be done to an object. */
const operations: readonly (keyof ProxyHandler<object>)[] = [
  "apply",
  "construct",
  "defineProperty",
  "deleteProperty",
  "getOwnPropertyDescriptor",
  "getPrototypeOf",
  "has",
  "isExtensible",
  "ownKeys",
  "preventExtensions",
  "set",
  "setPrototypeOf",
];

/** Stands for a value that is not open. A function, so that it can stand for one; every use of it throws. */
function createPlaceholder(nameIt: () => string): object {
  const refuse = (): never => {
    throw fail("resource_not_open", { resource: nameIt() });
  };
  const handler: ProxyHandler<object> = Object.fromEntries(operations.map((operation) => [operation, refuse]));
  // `readApi` asks every field of a service for this one.
  handler.get = (_, key) => (key === apiKey ? undefined : refuse());
  return new Proxy(function placeholder() {}, handler);
}

/** `"Model.session"`; `"a resource()"` where no field has the placeholder any more. */
function nameResource({ owner }: ResourceDefinition, placeholder: object): string {
  const field = Object.entries(owner ?? {}).find(([, value]) => value === placeholder)?.[0];
  return owner === undefined || field === undefined ? "a resource()" : `${readServiceName(owner.constructor)}.${field}`;
}

interface OpenResource {
  readonly field: string;
  readonly close: () => unknown;
}

/** Resources of one service instance. */
export class ServiceResources {
  readonly #instance: object;
  readonly #service: string;
  readonly #fields: readonly (readonly [field: string, definition: ResourceDefinition])[];
  readonly #open: OpenResource[] = [];
  #onError: (error: unknown, field: string) => void = () => {};
  #isClosed = false;

  constructor(instance: object, service: string) {
    this.#instance = instance;
    this.#service = service;
    this.#fields = Object.entries(instance).flatMap(([field, value]) => {
      const definition = readResource(value);
      return definition === undefined ? [] : [[field, definition] as const];
    });
  }

  /** True while all are open, also where there are none. */
  get areOpen(): boolean {
    return this.#open.length === this.#fields.length;
  }

  /**
   * Opens all, in order (VR1).
   *
   * @returns False when `close` was called or the signal of the context was aborted meanwhile.
   * @throws {ServingError} `resource_failed` for the first that can't be opened.
   */
  async open(context: StartContext): Promise<boolean> {
    for (const [field, { open, close }] of this.#fields) {
      if (context.signal.aborted) return false;
      const value = await this.#openOne(field, () => open(context));
      this.#open.push({ field, close: () => (close ?? dispose)(value as never) });
      Object.defineProperty(this.#instance, field, {
        value,
        writable: true,
        enumerable: true,
        configurable: true,
      });
      if (!this.#isClosed) continue;
      await this.close(this.#onError);
      return false;
    }
    return true;
  }

  async #openOne(field: string, open: () => unknown): Promise<unknown> {
    try {
      return await open();
    } catch (error) {
      const details = { resource: `${this.#service}.${field}`, error: messageWithCauses(error) };
      throw fail("resource_failed", details, { service: this.#service, cause: error });
    }
  }

  /**
   * Closes those that are open, in reverse order (VR1). May be called more than once.
   *
   * @param onError Called with what a `close` throws; the others are closed anyway.
   */
  async close(onError: (error: unknown, field: string) => void): Promise<void> {
    this.#isClosed = true;
    this.#onError = onError;
    for (let last = this.#open.pop(); last !== undefined; last = this.#open.pop()) {
      try {
        await last.close();
      } catch (error) {
        onError(error, last.field);
      }
    }
  }
}

/** Closes a value by its own method, if it has one. */
function dispose(value: unknown): unknown {
  const { [Symbol.asyncDispose]: closeLater, [Symbol.dispose]: closeNow } = Object(value) as Partial<
    AsyncDisposable & Disposable
  >;
  return (closeLater ?? closeNow)?.call(value as never);
}
