import assert from "node:assert/strict";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server as HttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { exportJWK, type JWTPayload, SignJWT } from "jose";
import { z } from "zod";
import { anyOf, apiKeys, type JwtOptions, jwt } from "../src/auth.js";
import { api, currentCall, type ReadContext, type Server, Service, secret as secretOf, serve } from "../src/index.js";
import { LogBook } from "./conformance/suite.js";

const folder = mkdtempSync(join(tmpdir(), "ekiben-auth-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const named = { issuer: "https://id.example.org", audience: "shop" };
const secret = "0123456789abcdef0123456789abcdef";
const pem = (key: KeyObject) => key.export({ type: key.type === "public" ? "spki" : "pkcs8", format: "pem" }) as string;
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
const ed = generateKeyPairSync("ed25519");
const stranger = generateKeyPairSync("rsa", { modulusLength: 2048 });

interface Signing {
  readonly alg?: string;
  readonly kid?: string;
  readonly claims?: JWTPayload;
  /** Time of expiry, as jose takes it. Default: in a minute. */
  readonly exp?: string | number | undefined;
}

function sign(
  key: KeyObject | Uint8Array,
  { alg = "RS256", kid, claims = {}, ...times }: Signing = {},
): Promise<string> {
  const payload = { iss: named.issuer, aud: named.audience, sub: "ann", ...claims };
  const token = new SignJWT(payload).setProtectedHeader({ alg, ...(kid !== undefined && { kid }) });
  const exp = "exp" in times ? times.exp : "1 minute";
  return (exp === undefined ? token : token.setExpirationTime(exp)).sign(key);
}

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

class Shop extends Service() {
  who = api({ output: z.any() }, () => currentCall().context);
}

/** A real server over HTTP whose callers are found out by `context`. */
class Shopping implements AsyncDisposable {
  readonly log: LogBook;
  readonly #server: Server;

  private constructor(server: Server, log: LogBook) {
    this.#server = server;
    this.log = log;
  }

  static async of(context: ReadContext): Promise<Shopping> {
    const log = new LogBook();
    const options = { placement: "inline", http: { accessLog: false } } as const;
    const served = { port: 0, host: "127.0.0.1", env: {}, log: log.logger, options, context };
    return new Shopping(await serve(Shop, served), log);
  }

  get url(): string {
    return this.#server.url;
  }

  async ask(headers: Record<string, string> = {}) {
    const response = await fetch(`${this.#server.url}/who`, { method: "POST", headers });
    const { status } = response;
    return { status, challenge: response.headers.get("www-authenticate"), body: (await response.json()) as any };
  }

  /** Sends a token. @returns What the api has seen, or the status and text of the refusal. */
  async send(token: string) {
    const { status, body } = await this.ask({ authorization: `Bearer ${token}` });
    return status === 200 ? body : `${status} ${body.error}`;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#server.close();
  }
}

describe("jwt", () => {
  it("knows the subject and the claims of a token signed with a shared secret", async () => {
    await using shop = await Shopping.of(jwt({ ...named, secret }));
    const token = await sign(new TextEncoder().encode(secret), { alg: "HS256", claims: { role: "admin" } });
    const { subject, claims } = await shop.send(token);
    assert.deepEqual([subject, claims.role, claims.iss], ["ann", "admin", named.issuer]);
  });

  it("takes public keys of each kind", async () => {
    const pairs = [
      { pair: rsa, alg: "RS256" },
      { pair: rsa, alg: "PS384" },
      { pair: ec, alg: "ES256" },
      { pair: ed, alg: "EdDSA" },
    ];
    for (const { pair, alg } of pairs) {
      await using shop = await Shopping.of(jwt({ ...named, publicKey: pem(pair.publicKey) }));
      assert.equal((await shop.send(await sign(pair.privateKey, { alg }))).subject, "ann", alg);
    }
  });

  it("answers 401 with a challenge where there is no token, and says where one belongs", async () => {
    await using shop = await Shopping.of(jwt({ ...named, secret }));
    const { status, challenge, body } = await shop.ask();
    assert.deepEqual(
      [status, challenge, body.id, body.code],
      [401, "Bearer", "credentials_missing", "unauthenticated"],
    );
    assert.match(body.error, /authorization: Bearer <token>/);
    const basic = await shop.ask({ authorization: "Basic YTpi" });
    assert.deepEqual([basic.status, basic.body.id], [401, "credentials_missing"]);
  });

  it("refuses tokens that are wrong in any way, and says how", async () => {
    await using shop = await Shopping.of(jwt({ ...named, publicKey: pem(rsa.publicKey) }));
    const good = await sign(rsa.privateKey);
    const [head, payload, signature] = good.split(".") as [string, string, string];
    const forged = encode({ ...JSON.parse(Buffer.from(payload, "base64url").toString()), sub: "root" });
    const hour = 3_600;
    const now = Math.floor(Date.now() / 1000);
    const refusals: [string, string, RegExp][] = [
      ["expired", await sign(rsa.privateKey, { exp: now - hour }), /has expired/],
      ["not valid yet", await sign(rsa.privateKey, { claims: { nbf: now + hour } }), /claim nbf/],
      ["without an expiry", await sign(rsa.privateKey, { exp: undefined }), /claim exp/],
      ["without a subject", await sign(rsa.privateKey, { claims: { sub: undefined } as never }), /claim sub/],
      ["with an empty subject", await sign(rsa.privateKey, { claims: { sub: "" } }), /claim sub/],
      ["with a number as subject", await sign(rsa.privateKey, { claims: { sub: 7 } as never }), /claim sub .* no text/],
      ["of another issuer", await sign(rsa.privateKey, { claims: { iss: "https://evil.org" } }), /claim iss/],
      ["for another audience", await sign(rsa.privateKey, { claims: { aud: "bank" } }), /claim aud/],
      ["signed by a stranger", await sign(stranger.privateKey), /signature .* is wrong/],
      ["with other claims", `${head}.${forged}.${signature}`, /signature .* is wrong/],
      ["without a signature", `${encode({ alg: "none" })}.${payload}.`, /algorithm that is not accepted/],
      ["with alg none and a signature", `${encode({ alg: "none" })}.${payload}.${signature}`, /algorithm/],
      [
        "signed with the public key as secret",
        await sign(Buffer.from(pem(rsa.publicKey)), { alg: "HS256" }),
        /algorithm/,
      ],
      ["by another kind of key", await sign(ec.privateKey, { alg: "ES256" }), /algorithm/],
      ["no token", "abcabcabc", /can't be read/],
      ["no JSON", "abcabcabc.b.c", /can't be read/],
    ];
    for (const [what, token, problem] of refusals) {
      const { status, challenge, body } = await shop.ask({ authorization: `Bearer ${token}` });
      assert.deepEqual([status, body.id, body.code], [401, "credentials_refused", "unauthenticated"], what);
      assert.match(body.error, problem, what);
      assert.match(String(challenge), /^Bearer error="invalid_token", error_description="[^"]+"$/, what);
      assert.ok(!JSON.stringify(body).includes(token), what);
    }
    assert.equal((await shop.send(good)).subject, "ann");
    const lines = JSON.stringify(shop.log.all());
    for (const [what, token] of refusals) assert.ok(!lines.includes(token), `${what}: in the log`);
  });

  it("reads a cookie where it is told to, unless there is a header", async () => {
    await using shop = await Shopping.of(jwt({ ...named, secret, cookie: "session" }));
    const token = await sign(new TextEncoder().encode(secret), { alg: "HS256" });
    assert.equal((await shop.ask({ cookie: `a=1; session=${token}` })).body.subject, "ann");
    assert.equal((await shop.ask({ cookie: `other=${token}` })).status, 401);
    const both = await shop.ask({ cookie: `session=${token}`, authorization: "Bearer abc" });
    assert.equal(both.status, 401);
  });

  it("takes its cookie from pages of its own origin only, and of those that it is told", async () => {
    const friend = "https://app.example.org";
    await using shop = await Shopping.of(jwt({ ...named, secret, cookie: "session", cookieOrigins: friend }));
    const token = await sign(new TextEncoder().encode(secret), { alg: "HS256" });
    const own = shop.url;
    const cases: [Record<string, string>, number][] = [
      [{}, 200],
      [{ origin: own }, 200],
      [{ origin: own, "sec-fetch-site": "same-origin" }, 200],
      [{ "sec-fetch-site": "none" }, 200],
      [{ origin: friend, "sec-fetch-site": "same-site" }, 200],
      [{ origin: friend }, 200],
      [{ origin: "https://evil.example" }, 403],
      [{ origin: own.replace("127.0.0.1", "localhost") }, 403],
      [{ origin: "null" }, 403],
      [{ origin: own, "sec-fetch-site": "cross-site" }, 403],
      [{ origin: "https://sibling.example.org", "sec-fetch-site": "same-site" }, 403],
      [{ "sec-fetch-site": "cross-site" }, 403],
    ];
    for (const [headers, expected] of cases) {
      const { status, body } = await shop.ask({ ...headers, cookie: `session=${token}` });
      assert.deepEqual(
        [status, body.id],
        [expected, expected === 200 ? undefined : "cookie_of_other_site"],
        JSON.stringify(headers),
      );
      const byHeader = await shop.ask({ ...headers, authorization: `Bearer ${token}` });
      assert.equal(byHeader.status, 200, "no browser adds this header by itself");
    }
    const twice = await shop.ask({ cookie: `session=${token}; session=of-another-page` });
    assert.deepEqual([twice.status, twice.body.id], [401, "credentials_refused"]);
    assert.equal((await shop.ask({ cookie: `session=${token}; session=${token}` })).status, 200);
  });

  it("reads a secret of the environment for each token, and says where it reads tokens", async () => {
    const identify = () => jwt({ ...named, secret: secretOf("SHOP_TOKEN_SECRET"), cookie: "session" });
    assert.throws(identify, { id: "secret_missing" });
    const file = join(folder, "token-secret");
    writeFileSync(file, `${secret}\n`);
    process.env["SHOP_TOKEN_SECRET_FILE"] = file;
    try {
      const way = identify();
      assert.deepEqual(way.credentials, [{ kind: "bearer" }, { kind: "cookie", name: "session" }]);
      await using shop = await Shopping.of(way);
      const next = secret.toUpperCase();
      const [now, later] = await Promise.all(
        [secret, next].map((text) => sign(new TextEncoder().encode(text), { alg: "HS256" })),
      );
      assert.equal((await shop.send(now as string)).subject, "ann");
      writeFileSync(file, next);
      assert.match(await shop.send(now as string), /401 .*signature/);
      assert.equal((await shop.send(later as string)).subject, "ann");
      rmSync(file);
      assert.match(await shop.send(later as string), /^503 the keys by which tokens are checked/);
    } finally {
      delete process.env["SHOP_TOKEN_SECRET_FILE"];
    }
  });

  it("refuses options that can't work, before a server starts", () => {
    const wrong: [object, RegExp][] = [
      [{}, /given 0/],
      [{ secret, publicKey: pem(rsa.publicKey) }, /given 2/],
      [{ secret: "short" }, /has 5 bytes; at least 32/],
      [{ secret: { length: 99 } }, /is no text, no bytes/],
      [{ secret: null }, /is no text, no bytes/],
      [{ publicKey: 5 }, /publicKey is no text/],
      [{ secret, cookieOrigins: "https://app.example.org" }, /no cookie/],
      [{ secret, cookie: "a", cookieOrigins: ["app.example.org"] }, /no origins/],
      [{ secret, cookie: "a", cookieOrigins: "https://app.example.org/" }, /no origins/],
      [{ secret, issuer: "" }, /issuer is missing/],
      [{ secret, audience: [] }, /audience is missing/],
      [{ secret, audience: undefined }, /audience is missing/],
      [{ publicKey: "x" }, /no PEM/],
      [{ publicKey: pem(rsa.privateKey) }, /is a private key/],
      [{ publicKey: pem(generateKeyPairSync("x25519").publicKey) }, /keys of type x25519/],
      [{ jwksUrl: "keys.json" }, /no URL/],
      [{ jwksUrl: "file:///keys.json" }, /neither https: nor http:/],
    ];
    for (const [options, problem] of wrong) {
      assert.throws(() => jwt({ ...named, ...options } as JwtOptions), { id: "auth_misconfigured", message: problem });
    }
  });
});

describe("jwt with the issuer's keys", () => {
  let issuer: HttpServer;
  let url: string;
  let answer: { status: number; body: unknown } = { status: 200, body: { keys: [] } };
  let fetched = 0;
  before(async () => {
    issuer = createServer((_, response) => {
      fetched++;
      response.writeHead(answer.status, { "content-type": "application/json" });
      response.end(typeof answer.body === "string" ? answer.body : JSON.stringify(answer.body));
    }).listen(0, "127.0.0.1");
    await once(issuer, "listening");
    url = `http://127.0.0.1:${(issuer.address() as AddressInfo).port}/jwks.json`;
  });
  after(() => {
    issuer.close();
    issuer.closeAllConnections();
  });

  const publish = async (pairs: Readonly<Record<string, { publicKey: KeyObject }>>) => {
    const keys = Object.entries(pairs).map(async ([kid, pair]) => ({ ...(await exportJWK(pair.publicKey)), kid }));
    answer = { status: 200, body: { keys: await Promise.all(keys) } };
  };

  it("fetches them once, and finds the key that a token names", async () => {
    await publish({ one: rsa, two: ec });
    fetched = 0;
    await using shop = await Shopping.of(jwt({ ...named, jwksUrl: url }));
    assert.equal(fetched, 0, "nothing is fetched before a token comes");
    const tokens = await Promise.all([
      sign(rsa.privateKey, { kid: "one" }),
      sign(ec.privateKey, { alg: "ES256", kid: "two" }),
    ]);
    for (const token of [...tokens, ...tokens]) assert.equal((await shop.send(token)).subject, "ann");
    assert.equal(fetched, 1);
    assert.match(await shop.send(await sign(stranger.privateKey, { kid: "one" })), /401 .*signature/);
    assert.match(await shop.send(await sign(stranger.privateKey, { kid: "three" })), /401 .*does not name/);
    assert.match(await shop.send(await sign(new TextEncoder().encode(secret), { alg: "HS256" })), /401 .*algorithm/);
  });

  it("answers 503 while they can't be fetched, and only the log has the reason", async () => {
    const token = await sign(rsa.privateKey, { kid: "one" });
    for (const broken of [
      { status: 500, body: "internal" },
      { status: 200, body: "{" },
      { status: 200, body: {} },
    ]) {
      answer = broken;
      await using shop = await Shopping.of(jwt({ ...named, jwksUrl: url }));
      assert.match(await shop.send(token), /^503 the keys by which tokens are checked can't be read now/);
      await shop.log.take(/^context of the app file failed: the keys by which/);
      await publish({ one: rsa });
      assert.equal((await shop.send(token)).subject, "ann", "it recovers");
    }
  });
});

describe("anyOf", () => {
  it("lets machines in by their keys and people by their tokens", async () => {
    const file = join(folder, "keys");
    const [key, next] = ["a-key-of-the-robot", "another-key-of-the-robot"];
    writeFileSync(file, `robot ${key}\n`);
    await using shop = await Shopping.of(anyOf(jwt({ ...named, secret }), apiKeys({ file })));
    const token = await sign(new TextEncoder().encode(secret), { alg: "HS256" });
    assert.equal((await shop.send(token)).subject, "ann");
    assert.deepEqual(await shop.send(key), { key: "robot" });
    assert.deepEqual((await shop.ask({ "x-api-key": key })).body, { key: "robot" });
    assert.equal((await shop.ask()).status, 401);
    writeFileSync(file, `robot ${next}\n`);
    assert.equal((await shop.ask({ "x-api-key": key })).status, 401, "a key that was taken away");
    const { components, security } = (await (await fetch(`${shop.url}/openapi.json`)).json()) as any;
    assert.deepEqual(Object.keys(components.securitySchemes), ["bearer", "header-x-api-key"]);
    assert.equal(security.length, 2);
    assert.deepEqual((await shop.ask({ "x-api-key": next })).body, { key: "robot" });
  });
});
