import { api, file, Service, Tensor, tensor } from "ekiben";
import { z } from "zod";
import { formatValue } from "../describe-value.js";
import { endless, refused, simplified } from "../odd-values.js";
import { catalogue } from "../values.js";

const anything = z.any();

/** Changes every part of a value that can be changed in place. */
export function spoil(value: unknown): void {
  if (ArrayBuffer.isView(value)) {
    new Uint8Array(value.buffer, value.byteOffset, value.byteLength).fill(0xee);
  } else if (value instanceof Map) {
    for (const item of value.values()) spoil(item);
    value.set("spoiled", true);
  } else if (value instanceof Set) {
    for (const item of value) spoil(item);
    value.add("spoiled");
  } else if (value instanceof Date) {
    value.setTime(1);
  } else if (Array.isArray(value)) {
    for (const item of value) spoil(item);
    if (Object.isExtensible(value)) value.push("spoiled");
  } else if (typeof value === "object" && value !== null) {
    for (const item of Object.values(value)) spoil(item);
    if (Object.isExtensible(value)) Object.assign(value, { spoiled: true });
  }
}

/** Makes a value with every part that can be changed in place. */
export const createSpoilable = (bytes = 3) => ({
  text: "x",
  list: [1, { deep: [2] }],
  map: new Map<unknown, unknown>([["k", { v: 1 }]]),
  set: new Set<unknown>([{ s: 1 }]),
  when: new Date(77),
  raw: new Uint8Array(bytes).fill(1),
  tensor: new Tensor("float32", [bytes], new Float32Array(bytes).fill(1)),
});

const pair = { left: tensor("float32", ["n", 2]), right: tensor("float32", ["n"]) };

/** Returns, describes, keeps and changes values. */
export class Echo extends Service() {
  readonly #kept = new Map<string, unknown>();
  readonly #lent = createSpoilable();
  #calls = 0;

  echo = api({ input: anything, output: anything }, (value) => value);
  describe = api({ input: anything, output: z.string() }, (value) => formatValue(value));
  nothing = api({ output: anything }, (...input: unknown[]) => formatValue(input));
  give = api({ input: z.string(), output: anything }, (name) => catalogue[name]?.());
  giveRefused = api({ input: z.string(), output: anything }, (name) => refused[name]?.make() ?? endless[name]?.());
  giveSimplified = api({ input: z.string(), output: anything }, (name) => simplified[name]?.make());
  calls = api({ output: z.number() }, () => this.#calls);

  readFile = api({ input: anything, output: anything }, async (value: Blob | { blob: Blob }) => {
    const blob = value instanceof Blob ? value : value.blob;
    return { is: formatValue(value), content: new Uint8Array(await blob.arrayBuffer()) };
  });
  giveFile = api({ output: anything }, () => ({
    file: new File(["file ", Uint8Array.of(195, 164)], "ä b.txt", { type: "text/plain", lastModified: 1234 }),
    blob: new Blob([Uint8Array.of(0, 255)], { type: "application/x-y" }),
    empty: new Blob([]),
    beside: Uint8Array.of(4),
  }));
  /** True when two parts of a value still share one object. */
  isShared = api({ input: anything, output: z.boolean() }, ({ a, b }) => {
    return a === b || (ArrayBuffer.isView(a) && ArrayBuffer.isView(b) && a.buffer === b.buffer);
  });

  keep = api({ input: z.object({ name: z.string(), value: anything }), output: z.string() }, ({ name, value }) => {
    this.#kept.set(name, value);
    return formatValue(value);
  });
  kept = api({ input: z.string(), output: z.string() }, (name) => formatValue(this.#kept.get(name)));
  spoil = api({ input: anything, output: z.string() }, (value) => {
    spoil(value);
    return "spoiled";
  });
  lend = api({ output: anything }, () => this.#lent);
  lent = api({ output: z.string() }, () => formatValue(this.#lent));
  spoilLent = api({ output: z.string() }, () => {
    spoil(this.#lent);
    return formatValue(this.#lent);
  });
  /** Changes its returned value at once, when it may still be on its way. */
  lendBriefly = api({ input: z.number(), output: anything }, (bytes) => {
    const value = createSpoilable(bytes);
    queueMicrotask(() => spoil(value));
    return value;
  });

  person = api(
    {
      input: z.object({
        name: z.string().min(2),
        tags: z.array(z.object({ id: z.number().int() })).default([]),
        age: z.coerce.number().optional(),
      }),
      output: anything,
    },
    (person) => {
      this.#calls++;
      return person;
    },
  );
  strict = api(
    { input: z.strictObject({ a: z.number() }), output: z.strictObject({ a: z.number() }) },
    (value) => value,
  );
  later = api(
    { input: z.string().refine(async (text) => text !== "taken", "is taken"), output: z.string() },
    (name) => name,
  );
  shout = api(
    { input: z.string().transform((text) => text.length), output: z.number().transform((n) => n * 2) },
    (n) => n,
  );
  fields = api({ input: { a: z.string(), b: z.number().optional() }, output: anything }, (value) => formatValue(value));
  breakOutput = api({ input: anything, output: z.object({ list: z.array(z.number()) }) }, (value) => value);

  tensor = api({ input: tensor("float32", ["n", 2]), output: anything }, (value) => formatValue(value));
  pair = api({ input: pair, output: tensor("float32", ["n"]) }, ({ right }) => {
    if (right.data[0] !== -1) return right;
    return new Tensor("float32", [right.data.length + 1], new Float32Array(right.data.length + 1));
  });
  upload = api({ input: file({ contentType: "image/*", maxBytes: 4 }), output: z.string() }, (image) => image.name);
}
