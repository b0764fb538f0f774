const steps = ["", "k", "m", "g", "t"];

/**
 * The bytes a text such as `"16MiB"`, `"2Gi"`, `"500MB"` or `"1048576"` stands for: `Ki`, `Mi`, `Gi`, `Ti` are powers of
 * 1024, without the `i` powers of 1000. A final `B` and the case change nothing. `"Infinity"` is no bound.
 *
 * @returns `undefined` when the text is not a size. The result may have a fraction: `"0.3B"`.
 */
export function parseSize(text: string): number | undefined {
  if (text === "Infinity") return Number.POSITIVE_INFINITY;
  const parts = /^(\d{1,16}(?:\.\d{1,6})?)\s*(?:([kmgt])(i)?)?b?$/i.exec(text.trim());
  if (parts === null) return undefined;
  const [, count, step = "", binary] = parts;
  return Number(count) * (binary === undefined ? 1000 : 1024) ** steps.indexOf(step.toLowerCase());
}

/** Bytes as a person reads them: `"16 MiB"`, `"1500 bytes"`. Exact: a size that no unit divides stays in bytes. */
export function formatBytes(bytes: number): string {
  if (bytes === Number.POSITIVE_INFINITY) return "no bound";
  for (let step = steps.length - 1; step > 0; step--) {
    const unit = 1024 ** step;
    if (bytes >= unit && bytes % unit === 0) return `${bytes / unit} ${steps[step]?.toUpperCase()}iB`;
  }
  return `${bytes} ${bytes === 1 ? "byte" : "bytes"}`;
}
