import type { RefusedFields } from "./refused-fields.js";

/** How often a schema is asked about one form at most: no form that is filled in by hand is as unsure. */
const mostAsked = 40;

/**
 * Decides what the parts of a form are, where the schema does not say so beforehand: of the values that each may be, the first
 * that the schema takes; the very first where it takes none. A text that is refused is nothing else where other texts are taken.
 *
 * @param settled Fields that are sure.
 * @param unsure  By name, the values a field may be, the most exact first.
 */
export async function settleFields(
  settled: Readonly<Record<string, unknown>>,
  unsure: ReadonlyMap<string, readonly unknown[]>,
  schema: RefusedFields,
): Promise<Record<string, unknown>> {
  const refused = askInTurns(schema);
  const chosen: Record<string, unknown> = { ...settled };
  for (const [name, [first]] of unsure) chosen[name] = first;
  const open = new Map([...unsure].filter(([, values]) => values.length > 1));
  for (let at = 0; open.size > 0; at++) {
    const tried = { ...chosen };
    for (const [name, values] of open) tried[name] = values[at];
    const names = await refused(tried);
    for (const [name, values] of open) {
      const isRefused = names === "all" || names.has(name);
      if (!isRefused) chosen[name] = values[at];
      const isLast = at + 1 === values.length;
      if (!isRefused || isLast || (await takesOtherText(tried, name, refused))) open.delete(name);
    }
  }
  return chosen;
}

/** Asks at most `mostAsked` times, after which nothing is refused any more; others have a turn between. */
function askInTurns(schema: RefusedFields): RefusedFields {
  let asked = 0;
  return async (input) => {
    asked++;
    if (asked > mostAsked) return new Set();
    if (asked > 2) await new Promise((resolve) => void setImmediate(resolve));
    return schema(input);
  };
}

/** Whether a field whose text was refused takes other texts: then it may not be read as anything else. */
async function takesOtherText(input: Readonly<Record<string, unknown>>, name: string, refused: RefusedFields) {
  const value = input[name];
  const isList = Array.isArray(value);
  if (![value].flat().every((item) => typeof item === "string")) return false;
  for (const text of ["1", "true"]) {
    const names = await refused({ ...input, [name]: isList ? [text] : text });
    if (names !== "all" && !names.has(name)) return true;
  }
  return false;
}
