// placeholder codec until the real one lands
import { copyValue } from "../call/copy-value.js";
export interface EncodedValue { readonly text: string; readonly tails: readonly Uint8Array[]; readonly isMarked: boolean }
const none: readonly Uint8Array[] = Object.freeze([]);
export function encodeValue(value: unknown, name: "input" | "output"): EncodedValue | Promise<EncodedValue> {
  const tails: Uint8Array[] = [];
  let marked = false;
  const walk = (v: any): any => {
    if (typeof v === "number") { if (Number.isFinite(v) && !Object.is(v, -0)) return v; marked = true; return { $: ["n", String(Object.is(v, -0) ? "-0" : v)] }; }
    if (v === undefined) { marked = true; return { $: ["u"] }; }
    if (typeof v === "bigint") { marked = true; return { $: ["b", String(v)] }; }
    if (typeof v !== "object" || v === null) return v;
    if (Array.isArray(v)) return Array.from(v, walk);
    if (ArrayBuffer.isView(v)) { marked = true; const t: any = v; tails.push(new Uint8Array(t.buffer, t.byteOffset, t.byteLength)); return { $: ["t", v.constructor.name, tails.length - 1] }; }
    if ("dtype" in v && "data" in v && v.constructor !== Object) { marked = true; return { $: ["T", v.dtype, [...v.shape], walk(v.data)] }; }
    if (v instanceof Date) { marked = true; return { $: ["d", v.getTime()] }; }
    if (v instanceof Map) { marked = true; return { $: ["m", [...v].map(([a, b]) => [walk(a), walk(b)])] }; }
    if (v instanceof Set) { marked = true; return { $: ["s", [...v].map(walk)] }; }
    const o: any = {};
    for (const k in v) o[k] = walk(v[k]);
    return o;
  };
  if (typeof value === "function" || typeof value === "symbol") copyValue(value, name);
  const tree = walk(value);
  return { text: JSON.stringify(tree), tails: tails.length ? tails : none, isMarked: marked };
}
