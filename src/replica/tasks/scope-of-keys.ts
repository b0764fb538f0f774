import { createHash } from "node:crypto";

// Keys of tasks belong to the requester: another one with the same key must neither get the first one's task nor hear
// of it.
//
// SK1  Without a context there is no scope: nobody asks who is asking, and all callers share their keys.
// SK2  Two contexts have one scope only if they are equal in all that may name the requester. When in doubt they have
//      two: a key then joins too little, and never two users.
// SK3  A new token of the same user changes nothing.

/**
 * Returns a text that is the same for contexts of one requester, and another for others; `undefined` without a context.
 *
 * @param context Value that the app's `context` has given: JSON data.
 * @param fields  Paths of the fields that name the requester, such as `"claims.tenant"`. Empty for all of it. A context
 *   that has not all of them counts as a whole (SK2).
 */
export function scopeOfKeys(context: unknown, fields: readonly string[]): string | undefined {
  if (context === undefined) return undefined;
  const named = fields.map((path) => [path, readPath(context, path)] as const);
  const isNamed = named.length > 0 && named.every(([, value]) => value !== undefined && value !== null && value !== "");
  const counted = isNamed ? { fields: named } : { context };
  return createHash("sha256").update(JSON.stringify(counted, toCounted)).digest("base64url");
}

function readPath(context: unknown, path: string): unknown {
  return path.split(".").reduce<unknown>((at, step) => {
    const isObject = typeof at === "object" && at !== null;
    return isObject && Object.hasOwn(at, step) ? (at as Record<string, unknown>)[step] : undefined;
  }, context);
}

/** Claims that each new token of a user has its own value of. */
const tokenClaims: ReadonlySet<string> = new Set([
  ...["exp", "iat", "nbf", "jti", "auth_time", "nonce", "at_hash", "c_hash", "sid", "session_state"],
]);

/**
 * Puts the fields of an object in order. Leaves out of a token's claims what only the token itself is told by: such an
 * object has the claims `sub`, which names the user, and `exp`.
 */
function toCounted(_: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const { sub, exp } = value as { sub?: unknown; exp?: unknown };
  const isClaims = typeof sub === "string" && sub !== "" && typeof exp === "number";
  const counted = Object.entries(value).filter(([name]) => !(isClaims && tokenClaims.has(name)));
  return Object.fromEntries(counted.sort(([one], [other]) => (one < other ? -1 : 1)));
}
