import { createPublicKey, type KeyObject } from "node:crypto";
import { createRequire } from "node:module";
import type { JWTPayload, JWTVerifyGetKey } from "jose";
import { fail } from "../failure/failures.js";
import { readText } from "../failure/read-thrown.js";
import { messageOf } from "../failure/to-serving-error.js";
import type { ContextRequest, CredentialPlace } from "../options/app-file.js";
import { isSecret, type Secret } from "../options/secret.js";
import { createIdentify, type Identify, readBearer, readCookie, refuse } from "./any-of.js";

/** Options of `jwt()`: where the tokens come from, and exactly one way to check their signature. */
export interface JwtOptions {
  /** Address of the issuer's keys (JWKS). Keys are fetched when first needed, and again for a key that is unknown. */
  readonly jwksUrl?: string | URL;
  /**
   * Secret of at least 32 bytes that issuer and app share, for HS256, HS384 and HS512. One made by `secret("NAME")` is
   * read for each token, so that its file may be replaced.
   */
  readonly secret?: string | Uint8Array | Secret;
  /** Public key of the issuer, as PEM. */
  readonly publicKey?: string;
  /** Issuer that a token must name (`iss`). */
  readonly issuer: string | readonly string[];
  /** Audience that a token must be meant for (`aud`): this app. */
  readonly audience: string | readonly string[];
  /**
   * Cookie with the token, for requests without an `authorization` header. Default: none is read. It counts only in
   * requests from pages of the app's own origin and of `cookieOrigins`, unless their method is GET or HEAD.
   */
  readonly cookie?: string;
  /** Further origins whose pages may use the cookie, such as `"https://app.example.org"`. */
  readonly cookieOrigins?: string | readonly string[];
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
  const origins = readOrigins(options);
  const expected = `authorization: Bearer <token>${cookie === undefined ? "" : `, or the cookie ${cookie}`}`;
  const places: CredentialPlace[] = [{ kind: "bearer" }];
  if (cookie !== undefined) places.push({ kind: "cookie", name: cookie });
  return createIdentify(async (request) => {
    const isByCookie = cookie !== undefined && request.headers["authorization"] === undefined;
    // A request that has an `authorization` header is judged by that alone.
    const token = isByCookie ? readCookie(request, cookie) : readBearer(request);
    if (token === undefined) throw fail("credentials_missing", { expected });
    if (isByCookie) refuseOtherSites(request, cookie, origins);
    const claims = await verify(token);
    return { subject: claims.sub as string, claims };
  }, places);
}

function readOrigins({ cookie, cookieOrigins = [] }: JwtOptions): readonly string[] {
  const given: readonly unknown[] = Array.isArray(cookieOrigins) ? cookieOrigins : [cookieOrigins];
  const isOrigin = (text: unknown) => typeof text === "string" && URL.canParse(text) && new URL(text).origin === text;
  if (!given.every(isOrigin)) misconfigured("cookieOrigins are no origins such as https://app.example.org");
  if (given.length > 0 && cookie === undefined) misconfigured("it has cookieOrigins and no cookie");
  return given as string[];
}

/**
 * Refuses a request that a page of another site has caused: a browser adds the cookie to its forms too, and no script
 * of that page has to know it.
 *
 * @throws {ServingError} `cookie_of_other_site`.
 */
function refuseOtherSites({ method, headers }: ContextRequest, cookie: string, allowed: readonly string[]): void {
  if (method === "GET" || method === "HEAD") return;
  const { origin, host = "", "sec-fetch-site": site } = headers;
  if (origin !== undefined && allowed.includes(origin)) return;
  // Browsers say it themselves where the page came over TLS, and no page can change it.
  const isOwn = site === undefined ? isOwnOrigin(origin, host) : site === "same-origin" || site === "none";
  if (!isOwn) throw fail("cookie_of_other_site", { cookie, origin: (origin ?? "").slice(0, 200) });
}

/** True for the origin of this server, and without one: that request is from no page. */
function isOwnOrigin(origin: string | undefined, host: string): boolean {
  if (origin === undefined) return true;
  const { protocol } = URL.canParse(origin) ? new URL(origin) : { protocol: "" };
  // Parsed as a URL, a host loses the port that its scheme has anyway.
  const own = `${protocol}//${host}`;
  return protocol !== "" && URL.canParse(own) && new URL(own).origin === new URL(origin).origin;
}

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
  const load = keepLoaded(async () => {
    const jose = await import("jose");
    return { jose, key: createKey(jose) };
  });
  return async (token) => {
    const { jose, key } = await load();
    const verify = () =>
      typeof key === "function" ? jose.jwtVerify(token, key, bounds) : jose.jwtVerify(token, key, bounds);
    const { payload } = await verify().catch((error: unknown) => {
      throw toFailure(error);
    });
    // Nothing else checks its type: jose requires only that it is there.
    if (typeof payload.sub !== "string") throw refuse("the claim sub of the token is no text");
    if (payload.sub === "") throw refuse("the claim sub of the token is empty");
    return payload;
  };
}

/** Returns a function that loads once, and again after it has failed. */
export function keepLoaded<T>(load: () => Promise<T>): () => Promise<T> {
  let loaded: Promise<T> | undefined;
  return () => {
    loaded ??= load().catch((error: unknown) => {
      loaded = undefined;
      throw error;
    });
    return loaded;
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
    const key = readSecret(secret);
    return { algorithms: sharedAlgorithms, createKey: () => (isSecret(secret) ? async () => readSecret(secret) : key) };
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

/** @throws {ServingError} `auth_misconfigured`, `secret_missing`, `secret_unreadable`. */
function readSecret(secret: unknown): Uint8Array {
  const given = isSecret(secret) ? secret.value() : secret;
  const key = typeof given === "string" ? new TextEncoder().encode(given) : given;
  if (!(key instanceof Uint8Array)) misconfigured('the secret is no text, no bytes and no secret("NAME")');
  if (key.length < minSecretBytes)
    misconfigured(`the secret has ${key.length} bytes; at least ${minSecretBytes} are needed`);
  return key;
}

function readUrl(jwksUrl: string | URL): URL {
  const url = URL.canParse(String(jwksUrl)) ? new URL(jwksUrl) : misconfigured("jwksUrl is no URL");
  if (url.protocol !== "https:" && url.protocol !== "http:")
    misconfigured("jwksUrl begins with neither https: nor http:");
  return url;
}

function readPublicKey(pem: string): KeyObject {
  if (typeof pem !== "string") misconfigured("publicKey is no text");
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
