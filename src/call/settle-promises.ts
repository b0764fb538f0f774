/** Items of a value that are looked at; of what is larger the rest is left alone. */
const maxLooks = 100_000;

/**
 * Finds the promises inside a value that was refused, and keeps each from being an unhandled rejection when it fails later:
 * whoever would have awaited it was told already that it is in the wrong place. Never throws.
 */
export function settlePromises(value: unknown): void {
  const seen = new Set<object>();
  const open: unknown[] = [value];
  for (let looks = 0; open.length > 0 && looks < maxLooks; looks++) {
    const item = open.pop();
    if (typeof item !== "object" || item === null || seen.has(item)) continue;
    seen.add(item);
    try {
      if (item instanceof Promise) Promise.prototype.then.call(item, undefined, ignore);
      else if (!ArrayBuffer.isView(item)) addItems(item, open);
    } catch {
      // A value that can't be looked into holds no promise that anybody could await.
    }
  }
}

function addItems(holder: object, open: unknown[]): void {
  if (holder instanceof Map) for (const [key, item] of holder) open.push(key, item);
  else if (Array.isArray(holder) && holder.length <= maxLooks) for (const item of holder) open.push(item);
  else if (holder instanceof Set) for (const item of holder) open.push(item);
  else for (const key of Object.keys(holder).slice(0, maxLooks)) open.push(readItem(holder, key));
}

function readItem(holder: object, key: string): unknown {
  try {
    return (holder as Record<string, unknown>)[key];
  } catch {
    return undefined;
  }
}

const ignore = (): void => {};
