import type { Check } from "../define/contract.js";
import type { Issue } from "../failure/failures.js";

/** Which fields of an input its schema refuses; all of them where it does not say which. Never throws or rejects. */
export type RefusedFields = (input: Readonly<Record<string, unknown>>) => Refused | Promise<Refused>;
type Refused = ReadonlySet<string> | "all";

const none: ReadonlySet<string> = new Set();

/** Asks the check of an api's input about single fields. */
export function createRefusedFields(check: Check): RefusedFields {
  return (input) => {
    try {
      const checked = check(input);
      if (!(checked instanceof Promise)) return none;
      return checked.then(
        () => none,
        (error) => namesIn(error, input),
      );
    } catch (error) {
      return namesIn(error, input);
    }
  };
}

function namesIn(error: unknown, input: Readonly<Record<string, unknown>>): Refused {
  const { issues } = ((error as { details?: unknown } | undefined)?.details ?? {}) as { issues?: readonly Issue[] };
  if (!Array.isArray(issues) || issues.length === 0) return "all";
  const names = new Set<string>();
  for (const { path } of issues as readonly Issue[]) {
    if (path === "") return "all";
    for (const name of Object.keys(input)) if (isAt(path, name)) names.add(name);
  }
  return names;
}

/** A name may itself hold a point. */
const isAt = (path: string, name: string): boolean =>
  path.startsWith(name) && (path.length === name.length || path[name.length] === "." || path[name.length] === "[");
