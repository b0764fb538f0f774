import { fail } from "../failure/failures.js";
import { ServingError } from "../failure/serving-error.js";
import type { ContextRequest, ReadContext } from "../options/app-file.js";

/** Way to find out who is asking, as `context` of an app file takes it. */
export type Identify<Context> = (request: ContextRequest) => Promise<Context>;

/**
 * Tries several ways to find out who is asking, in order. The first that knows gives the context.
 *
 * When none knows, the failure is the first that refuses something which was sent, else the first of all. Any failure
 * but `unauthenticated` ends the search.
 */
export function anyOf<const Ways extends readonly ReadContext[]>(
  ...ways: Ways
): Identify<Awaited<ReturnType<Ways[number]>>> {
  if (ways.length === 0) throw fail("auth_misconfigured", { what: "anyOf()", problem: "it was given no way" });
  return async (request) => {
    let refusal: ServingError | undefined;
    for (const identify of ways) {
      try {
        return (await identify(request)) as never;
      } catch (error) {
        if (!(error instanceof ServingError) || error.code !== "unauthenticated") throw error;
        if (refusal === undefined || (isMissing(refusal) && !isMissing(error))) refusal = error;
      }
    }
    throw refusal;
  };
}

const isMissing = ({ id }: ServingError): boolean => id === "credentials_missing";

/** Reads the token of an `authorization: Bearer` header; `undefined` without one. */
export function readBearer({ headers }: ContextRequest): string | undefined {
  return /^bearer +([\w~+/.=-]{1,8192}) *$/i.exec(headers["authorization"] ?? "")?.[1];
}

/** Reads one cookie of a request; `undefined` without it. */
export function readCookie({ headers }: ContextRequest, name: string): string | undefined {
  for (const pair of (headers["cookie"] ?? "").split(";")) {
    const at = pair.indexOf("=");
    if (at >= 0 && pair.slice(0, at).trim() === name) return decode(pair.slice(at + 1).trim());
  }
  return undefined;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
