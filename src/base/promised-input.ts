/** True when a value must be awaited. */
export function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && typeof (value as PromiseLike<unknown>).then === "function";
}

type Fields = Readonly<Record<string, unknown>>;

/**
 * Returns the promise of an input that is a promise, or a plain object with promises in its own fields; `undefined` for
 * any other input. Promises deeper than that are left: they can't be sent.
 *
 * The first promise that rejects decides. The others are then settled, so that none is an unhandled rejection.
 *
 * @param keep Copies the fields that are no promises: the caller may change them while the promises are awaited.
 */
export function promisedInput(input: unknown, keep: (fields: Fields) => Fields): Promise<unknown> | undefined {
  if (typeof input !== "object" || input === null) return undefined;
  if (isPromiseLike(input)) return Promise.resolve(input);
  return holdsPromise(input as Fields) ? awaitFields(input as Fields, keep) : undefined;
}

/** Looks at the fields of plain objects only: lists, tensors, files and streams are never searched. */
function holdsPromise(input: Fields): boolean {
  try {
    const prototype: unknown = Object.getPrototypeOf(input);
    const isPlain = prototype === Object.prototype || prototype === null || Object.getPrototypeOf(prototype) === null;
    if (!isPlain) return false;
    // Not `for in`, which takes 20 times as long for an object with a thousand fields.
    for (const value of Object.values(input)) {
      if (typeof value === "object" && isPromiseLike(value)) return !isIterable(input);
    }
  } catch {
    // A field that can't be read is refused where the input is copied.
  }
  return false;
}

const isIterable = (input: object): boolean => Symbol.asyncIterator in input || Symbol.iterator in input;

async function awaitFields(input: Fields, keep: (fields: Fields) => Fields): Promise<Fields> {
  const names = Object.keys(input);
  const promised = new Map<string, unknown>();
  const plain: [string, unknown][] = [];
  for (const name of names) {
    const value = input[name];
    if (isPromiseLike(value)) promised.set(name, value);
    else plain.push([name, value]);
  }
  const awaited = Promise.all(promised.values());
  // Handled here too, since `keep` may throw.
  awaited.catch(() => {});
  const kept = keep(Object.fromEntries(plain));
  const values = await awaited;
  const settled = new Map([...promised.keys()].map((name, index) => [name, values[index]]));
  return Object.fromEntries(names.map((name) => [name, settled.has(name) ? settled.get(name) : kept[name]]));
}
