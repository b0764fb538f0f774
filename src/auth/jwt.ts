import { createPublicKey, type KeyObject } from "node:crypto";
import { createRequire } from "node:module";
import type { JWTPayload, JWTVerifyGetKey } from "jose";
import { fail } from "../failure/failures.js";
import { readText } from "../failure/read-thrown.js";
import { messageOf } from "../failure/to-serving-error.js";
import type { ContextRequest } from "../options/app-file.js";
import { type Identify, readBearer, readCookie } from "./any-of.js";

/** Options of `jwt()`: where the tokens come from, and exactly one way to check their signature. */
export interface JwtOptions {
  /** Address of the issuer's keys (JWKS). Keys are fetched when first needed, and again for a key that is unknown. */
  readonly jwksUrl?: string | URL;
  /** Secret of at least 32 bytes that issuer and app share, for HS256, HS384 and HS512. */
  readonly secret?: string | Uint8Array;
  /** Public key of the issuer, as PEM. */
  readonly publicKey?: string;
  /** Issuer that a token must name (`iss`). */
  readonly issuer: string | readonly string[];
  /** Audience that a token must be meant for (`aud`): this app. */
  readonly audience: string | readonly string[];
  /** Cookie with the token, for requests without an `authorization` header. Default: none is read. */
  readonly cookie?: string;
}

/** Context of a request that was let in by its token. */
export interface JwtContext {
  /** Claim `sub`. */
  readonly subject: string;
  /** All claims of the token. */
  readonly claims: Readonly<Record<string, unknown>>;
}

const sharedAlgorithms = ["HS256", "HS384", "HS512"];
const pssAlgorithms = ["PS256", "PS384", "PS512"];
const rsaAlgorithms = ["RS256", "RS384", "RS512", ...pssAlgorithms];
const edAlgorithms = ["EdDSA", "Ed25519"];
/** Algorithms by curve, as Node names it. */
const curveAlgorithms: Readonly<Record<string, string>> = {
  prime256v1: "ES256",
  secp384r1: "ES384",
  secp521r1: "ES512",
};
const keyPairAlgorithms = [...rsaAlgorithms, ...Object.values(curveAlgorithms), ...edAlgorithms];

const minSecretBytes = 32;
/** Seconds by which the clocks of issuer and app may differ. */
const clockTolerance = 5;
const jwksTimeoutMs = 3_000;

/**
 * Finds out who is asking by signed tokens (JWT): `authorization: Bearer <token>`. For `context` of the app file. Needs
 * the package jose.
 *
 * A token must be signed, name the issuer and the audience, and have the claims `sub` and `exp`. Tokens without a
 * signature (`alg: none`) are refused, as are those whose algorithm does not belong to the key.
 *
 * @throws {ServingError} `auth_misconfigured` at once, for options that can't work or when jose is not installed.
 */
export function jwt(options: JwtOptions): Identify<JwtContext> {
  const verify = createVerifier(options);
  const { cookie } = options;
  const expected = `authorization: Bearer <token>${cookie === undefined ? "" : `, or the cookie ${cookie}`}`;
  return async (request) => {
    const token = readToken(request, cookie);
    if (token === undefined) throw fail("credentials_missing", { expected });
    const claims = await verify(token);
    return { subject: claims.sub as string, claims };
  };
}

/** A request that has an `authorization` header is judged by that alone. */
const readToken = (request: ContextRequest, cookie: string | undefined): string | undefined =>
  cookie === undefined || request.headers["authorization"] !== undefined
    ? readBearer(request)
    : readCookie(request, cookie);

type Jose = typeof import("jose");
/** Key of the tokens, or the function that finds it for each. */
type VerifyKey = Uint8Array | KeyObject | JWTVerifyGetKey;

function createVerifier(options: JwtOptions): (token: string) => Promise<JWTPayload> {
  const { algorithms, createKey } = chooseKey(options);
  const bounds = {
    algorithms,
    issuer: readNames(options.issuer, "issuer"),
    audience: readNames(options.audience, "audience"),
    requiredClaims: ["sub", "exp"],
    clockTolerance,
  };
  requireJose();
  let loaded: Promise<{ readonly jose: Jose; readonly key: VerifyKey }> | undefined;
  return async (token) => {
    loaded ??= import("jose").then((jose) => ({ jose, key: createKey(jose) }));
    const { jose, key } = await loaded;
    const verify = () =>
      typeof key === "function" ? jose.jwtVerify(token, key, bounds) : jose.jwtVerify(token, key, bounds);
    const { payload } = await verify().catch((error: unknown) => {
      throw toFailure(error);
    });
    if (payload.sub === "") throw refuse("the claim sub of the token is empty");
    return payload;
  };
}

/** Checks that jose is installed. It is loaded with the first token. */
function requireJose(): void {
  try {
    createRequire(import.meta.url).resolve("jose");
  } catch {
    misconfigured("it needs the package jose, which is not installed: npm install jose");
  }
}

/** Way to check signatures, as the options name it. */
interface KeyChoice {
  readonly algorithms: string[];
  readonly createKey: (jose: Jose) => VerifyKey;
}

function chooseKey({ jwksUrl, secret, publicKey }: JwtOptions): KeyChoice {
  const given = [jwksUrl, secret, publicKey].filter((option) => option !== undefined);
  if (given.length !== 1) misconfigured(`it takes one of jwksUrl, secret and publicKey, and was given ${given.length}`);
  if (jwksUrl !== undefined) {
    const url = readUrl(jwksUrl);
    return {
      algorithms: keyPairAlgorithms,
      createKey: (jose) => jose.createRemoteJWKSet(url, { timeoutDuration: jwksTimeoutMs }),
    };
  }
  if (secret !== undefined) {
    const key = typeof secret === "string" ? new TextEncoder().encode(secret) : secret;
    if (key.length < minSecretBytes)
      misconfigured(`the secret has ${key.length} bytes; at least ${minSecretBytes} are needed`);
    return { algorithms: sharedAlgorithms, createKey: () => key };
  }
  const key = readPublicKey(publicKey as string);
  return { algorithms: algorithmsOf(key), createKey: () => key };
}

/** Lists the algorithms that a public key can check: a token must not choose another. */
function algorithmsOf({ asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject): string[] {
  if (type === "rsa") return rsaAlgorithms;
  if (type === "rsa-pss") return pssAlgorithms;
  if (type === "ed25519") return edAlgorithms;
  const algorithm = curveAlgorithms[details?.namedCurve ?? ""];
  return algorithm === undefined ? misconfigured(`no tokens are signed with keys of type ${type}`) : [algorithm];
}

function readUrl(jwksUrl: string | URL): URL {
  const url = URL.canParse(String(jwksUrl)) ? new URL(jwksUrl) : misconfigured("jwksUrl is no URL");
  if (url.protocol !== "https:" && url.protocol !== "http:")
    misconfigured("jwksUrl begins with neither https: nor http:");
  return url;
}

function readPublicKey(pem: string): KeyObject {
  // A private key would be taken too, and its public part used: it does not belong in this option.
  if (/PRIVATE KEY/.test(pem)) misconfigured("publicKey is a private key");
  try {
    return createPublicKey(pem);
  } catch (error) {
    return misconfigured(`publicKey is no PEM of a public key: ${messageOf(error)}`);
  }
}

function readNames(given: string | readonly string[], option: string): string[] {
  const names: readonly unknown[] = Array.isArray(given) ? given : [given];
  const isValid = names.length > 0 && names.every((name) => typeof name === "string" && name !== "");
  return isValid ? (names as string[]) : misconfigured(`${option} is missing or empty`);
}

function misconfigured(problem: string): never {
  throw fail("auth_misconfigured", { what: "jwt()", problem });
}

/** Codes of jose for faults that are not the client's. */
const keyFaults: readonly string[] = ["ERR_JWKS_TIMEOUT", "ERR_JWKS_INVALID", "ERR_JOSE_GENERIC"];

/** Converts an error of jose. Anything that says nothing about the token concerns the keys. */
function toFailure(error: unknown): Error {
  const code = readText(error, "code") ?? "";
  if (!code.startsWith("ERR_J") || keyFaults.includes(code)) {
    return fail("credentials_unavailable", { what: "the keys by which tokens are checked" }, { cause: error });
  }
  switch (code) {
    case "ERR_JWT_EXPIRED":
      return refuse("the token has expired");
    case "ERR_JWS_SIGNATURE_VERIFICATION_FAILED":
      return refuse("the signature of the token is wrong");
    case "ERR_JWKS_NO_MATCHING_KEY":
    case "ERR_JWKS_MULTIPLE_MATCHING_KEYS":
      return refuse("the token is signed with a key that the issuer does not name");
    case "ERR_JOSE_ALG_NOT_ALLOWED":
    case "ERR_JOSE_NOT_SUPPORTED":
      return refuse("the token is signed by an algorithm that is not accepted");
    case "ERR_JWT_CLAIM_VALIDATION_FAILED":
      return refuse(`the claim ${readText(error, "claim") ?? ""} of the token is not what it must be`);
    default:
      return refuse("the token can't be read");
  }
}

function refuse(problem: string): Error {
  return fail("credentials_refused", {
    problem,
    challenge: `Bearer error="invalid_token", error_description="${problem.replace(/[^\x20-\x7e]|["\\]/g, "")}"`,
  });
}
