import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fail } from "../failure/failures.js";
import { ServingError } from "../failure/serving-error.js";
import type { ContextRequest } from "../options/app-file.js";
import { anyOf, readBearer, readCookie } from "./any-of.js";

const request = (headers: Record<string, string> = {}) => ({ headers }) as ContextRequest;
const missing = async (): Promise<{ a: 1 }> => Promise.reject(fail("credentials_missing", { expected: "a key" }));
const refused = async (): Promise<{ b: 2 }> =>
  Promise.reject(fail("credentials_refused", { problem: "the key is old" }));
const known = async () => ({ c: 3 });

describe("anyOf", () => {
  it("takes the first way that knows, and asks no further one", async () => {
    assert.deepEqual(await anyOf(missing, refused, known, () => assert.fail("asked"))(request()), { c: 3 });
    assert.deepEqual(await anyOf(() => "ann")(request()), "ann");
  });

  it("fails with a refusal before an absence, whatever their order", async () => {
    await assert.rejects(anyOf(missing, refused)(request()), { id: "credentials_refused" });
    await assert.rejects(anyOf(refused, missing)(request()), { id: "credentials_refused" });
    await assert.rejects(anyOf(missing, missing)(request()), { id: "credentials_missing" });
  });

  it("ends with any other failure: a way that can't tell is not one that says no", async () => {
    const away = () => Promise.reject(fail("credentials_unavailable", { what: "the keys" }));
    const denied = () => Promise.reject(new ServingError({ code: "permission_denied", message: "no" }));
    await assert.rejects(anyOf(away, known)(request()), { id: "credentials_unavailable" });
    await assert.rejects(anyOf(missing, denied, known)(request()), { code: "permission_denied" });
    assert.throws(() => anyOf(), { id: "auth_misconfigured" });
  });

  it("reads the places of all its ways, each once", () => {
    const bearer = Object.assign(async () => 1, { credentials: [{ kind: "bearer" }] as const });
    const both = Object.assign(async () => 2, {
      credentials: [{ kind: "bearer" }, { kind: "header", name: "x" }] as const,
    });
    assert.deepEqual(anyOf(bearer, both, known).credentials, [{ kind: "bearer" }, { kind: "header", name: "x" }]);
  });
});

describe("readBearer", () => {
  it("reads one token, in any spelling of the scheme", () => {
    const tokens: [string, string | undefined][] = [
      ["Bearer abc.d-e_f", "abc.d-e_f"],
      ["bearer  abc==  ", "abc=="],
      ["Bearer abc!def:ghi$", "abc!def:ghi$"],
      [`Bearer ${"a".repeat(8_192)}`, "a".repeat(8_192)],
      ["Basic abc", undefined],
      ["Bearer", undefined],
      ["Bearer  ", undefined],
      ["", undefined],
    ];
    for (const [authorization, token] of tokens) assert.equal(readBearer(request({ authorization })), token);
    assert.equal(readBearer(request()), undefined);
  });

  it("refuses a token of another form, instead of taking it for none", () => {
    const tokens: [string, RegExp][] = [
      ["a b", /characters that no token has/],
      ["a, Bearer b", /characters that no token has/],
      ["k\u00e9y", /characters that no token has/],
      ["a".repeat(8_193), /8193 characters; at most 8192/],
    ];
    for (const [token, message] of tokens) {
      const read = () => readBearer(request({ authorization: `Bearer ${token}` }));
      assert.throws(read, { id: "credentials_refused", httpStatus: 401, message });
    }
  });
});

describe("readCookie", () => {
  it("reads a cookie by its whole name", () => {
    const cookie = "asession=1; session=a%20b; broken=%; empty=; session=a%20b; twice=1; twice=2";
    const read = (name: string) => readCookie(request({ cookie }), name);
    assert.throws(() => read("twice"), { id: "credentials_refused", message: /2 cookies twice with different values/ });
    assert.deepEqual([read("session"), read("broken"), read("empty"), read("sess")], ["a b", "%", "", undefined]);
    assert.equal(readCookie(request(), "session"), undefined);
  });
});
