import { Tensor } from "../define/tensor.js";
export function decodeValue(text: string, tails: readonly Uint8Array[], isMarked: boolean): unknown {
  const v = JSON.parse(text);
  if (!isMarked) return v;
  const types: any = { Uint8Array, Float32Array, Float64Array, Int32Array, BigInt64Array, Buffer: Uint8Array };
  const walk = (v: any): any => {
    if (typeof v !== "object" || v === null) return v;
    if (Array.isArray(v)) return v.map(walk);
    if (Array.isArray(v.$)) {
      const [k, a, b, c] = v.$;
      if (k === "n") return Number(a);
      if (k === "u") return undefined;
      if (k === "b") return BigInt(a);
      if (k === "d") return new Date(a);
      if (k === "t") { const t = tails[b] as Uint8Array; return new types[a](t.buffer, 0, t.byteLength / types[a].BYTES_PER_ELEMENT); }
      if (k === "T") return new Tensor(a, b, walk(c) as never);
      if (k === "m") return new Map(a.map(([x, y]: any) => [walk(x), walk(y)]));
      if (k === "s") return new Set(a.map(walk));
    }
    for (const k in v) v[k] = walk(v[k]);
    return v;
  };
  return walk(v);
}
