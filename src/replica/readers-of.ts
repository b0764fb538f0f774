import type { CallScope } from "../call/call-scope.js";

/** Scopes of batches, and the calls that each of them runs for. */
const joined = new WeakMap<CallScope, readonly CallScope[]>();
/** Most apps never have one: they don't pay for the search. */
let hasJoined = false;

/** Notes for which calls a batch runs, where one of them may be read by another call. */
export function noteJoined(batch: CallScope, calls: readonly CallScope[]): void {
  if (!calls.some(isRead)) return;
  hasJoined = true;
  joined.set(batch, calls);
}

function isRead(call: CallScope): boolean {
  for (let above: CallScope | undefined = call; above !== undefined; above = above.parent) {
    if (above.reader !== undefined || (hasJoined && joined.has(above))) return true;
  }
  return false;
}

/** The calls that read what a call makes, as far as they are known here: its own reader, its callers' ones, and theirs. */
export function readersOf(scope: CallScope): ReadonlySet<CallScope> {
  const readers = new Set<CallScope>();
  const seen = new Set<CallScope>();
  for (const open: CallScope[] = [scope]; open.length > 0; ) {
    const each = open.pop() as CallScope;
    if (seen.has(each)) continue;
    seen.add(each);
    if (each.reader !== undefined) {
      readers.add(each.reader);
      open.push(each.reader);
    }
    if (each.parent !== undefined) open.push(each.parent);
    open.push(...(joined.get(each) ?? []));
  }
  return readers;
}
