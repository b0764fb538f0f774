import { fail } from "../failure/failures.js";
import { ServingError } from "../failure/serving-error.js";
import type { ContextRequest, CredentialPlace, ReadContext } from "../options/app-file.js";

/** Way to find out who is asking, as `context` of an app file takes it. */
export interface Identify<Context> {
  (request: ContextRequest): Promise<Context>;
  /** Places of a request that it reads. */
  readonly credentials: readonly CredentialPlace[];
}

/** Makes a way of a function and the places that it reads. */
export const createIdentify = <Context>(
  identify: (request: ContextRequest) => Promise<Context>,
  credentials: readonly CredentialPlace[],
): Identify<Context> => Object.assign(identify, { credentials });

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
  const places = ways.flatMap(({ credentials = [] }) => credentials);
  const own = places.filter((place, at) => places.findIndex((other) => isSame(place, other)) === at);
  return createIdentify(async (request) => {
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
  }, own);
}

const isMissing = ({ id }: ServingError): boolean => id === "credentials_missing";

const isSame = (one: CredentialPlace, other: CredentialPlace): boolean => JSON.stringify(one) === JSON.stringify(other);

/** Most characters of a key or token. */
export const maxTokenChars = 8_192;

/**
 * Reads the token of an `authorization: Bearer` header; `undefined` without one, or with another scheme.
 *
 * @throws {ServingError} `credentials_refused` for a token that can be none.
 */
export function readBearer({ headers }: ContextRequest): string | undefined {
  const header = (headers["authorization"] ?? "").trim();
  const [scheme] = /^bearer +/i.exec(header) ?? [];
  if (scheme === undefined) return undefined;
  const token = header.slice(scheme.length);
  if (token.length > maxTokenChars) {
    throw refuse(`the token has ${token.length} characters; at most ${maxTokenChars} are read`);
  }
  if (!/^[\x21-\x7e]+$/.test(token)) throw refuse("the token has characters that no token has");
  return token;
}

/** Creates the failure for a key or token that is not taken. */
export function refuse(problem: string): ServingError {
  const description = problem.replace(/[^\x20-\x7e]|["\\]/g, "");
  return fail("credentials_refused", {
    problem,
    challenge: `Bearer error="invalid_token", error_description="${description}"`,
  });
}

/**
 * Reads one cookie of a request; `undefined` without it.
 *
 * @throws {ServingError} `credentials_refused` for two values under one name: a page of a sibling host may have set one
 *   of them, and the header does not say which.
 */
export function readCookie({ headers }: ContextRequest, name: string): string | undefined {
  const values = new Set<string>();
  for (const pair of (headers["cookie"] ?? "").split(";")) {
    const at = pair.indexOf("=");
    if (at >= 0 && pair.slice(0, at).trim() === name) values.add(decode(pair.slice(at + 1).trim()));
  }
  if (values.size > 1) throw refuse(`the request has ${values.size} cookies ${name} with different values`);
  return values.values().next().value;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
