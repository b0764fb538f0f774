/**
 * Describes a value as text, with everything that a receiver could see: class, content, order, and whether its memory
 * is its own.
 *
 * @param value Blobs and files are described by name, type and size; other tests read their content.
 */
export function formatValue(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "bigint") return `${value}n`;
  if (Object.is(value, -0)) return "-0";
  if (typeof value !== "object" || value === null) return String(value);
  if (ArrayBuffer.isView(value)) return describeBytes(value);
  if (Array.isArray(value)) return `[${Array.from(value, formatValue).join(",")}]`;
  if (value instanceof Date) return `Date(${value.getTime()})`;
  if (value instanceof Map) return `Map${formatValue([...value])}`;
  if (value instanceof Set) return `Set${formatValue([...value])}`;
  if (value instanceof File) return `File(${value.name},${value.type},${value.size},${value.lastModified})`;
  if (value instanceof Blob) return `Blob(${value.type},${value.size})`;
  const fields = Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}:${formatValue(item)}`);
  const prototype: unknown = Object.getPrototypeOf(value);
  const name = prototype === Object.prototype ? "" : (value.constructor?.name ?? "null-prototype");
  const symbols = Object.getOwnPropertySymbols(value).map(String);
  return `${name}{${[...fields, ...symbols].join(",")}}`;
}

const shownElements = 1000;

function describeBytes(view: ArrayBufferView): string {
  const own = view.byteOffset === 0 && view.byteLength === view.buffer.byteLength && view.buffer instanceof ArrayBuffer;
  const elements = view as unknown as ArrayLike<number | bigint> & {
    slice(from: number, to: number): Iterable<unknown>;
  };
  const shown = [...elements.slice(0, shownElements)].map(formatValue);
  const sum = elements.length > shownElements ? `… ${elements.length} of sum ${sumOf(elements)}` : "";
  return `${view.constructor.name}(${shown.join(",")}${sum}${own ? "" : ", in memory of others"})`;
}

function sumOf(elements: ArrayLike<number | bigint>): number {
  let sum = 0;
  for (let i = 0; i < elements.length; i++) sum += Number(elements[i]);
  return sum;
}
