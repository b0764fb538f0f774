import { createHash } from "node:crypto";
import { markKey } from "./mark.js";
import { readPacked } from "./stored-value.js";

/**
 * A text that is the same for equal values as `packValue` has packed them, and another for others. The order of fields does not
 * count, nor when a file was made: one that is uploaded again is new each time.
 */
export function fingerprintValue(packed: Uint8Array): string {
  const { head, tails, isMarked } = readPacked(packed);
  const hash = createHash("sha256");
  hash.update(JSON.stringify(JSON.parse(head), (key, value: unknown) => toOrdered(key, value, isMarked)));
  for (const tail of tails) hash.update(`\n${tail.length}\n`).update(tail);
  return hash.digest("base64url");
}

function toOrdered(key: string, value: unknown, isMarked: boolean): unknown {
  if (Array.isArray(value)) {
    return isMarked && key === markKey && value[0] === "file" ? value.filter((_, at) => at !== fileTimeAt) : value;
  }
  if (typeof value !== "object" || value === null) return value;
  const fields = Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1));
  return Object.fromEntries(fields);
}

/** Where the mark of a file has its time. */
const fileTimeAt = 3;
