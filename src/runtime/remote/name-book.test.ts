import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { NamedAddress } from "./link-policy.js";
import { keepMs, leastMs, maxAddresses, NameBook } from "./name-book.js";

const at = (host: string): NamedAddress => ({ key: `${host}:7000`, host, port: 7000, isSecure: true, serverName: "x" });
const keys = (addresses: readonly NamedAddress[]) => addresses.map(({ host }) => host);

describe("NameBook", () => {
  it("joins the addresses of all names, each once", () => {
    const book = new NameBook(5_000);
    const results = new Map([
      ["a", [at("1"), at("2")]],
      ["b", [at("2"), at("3")]],
    ]);
    assert.deepEqual(keys(book.note(0, results)), ["1", "2", "3"]);
    assert.deepEqual(keys(book.note(1, new Map([["a", [at("9")]]]))), ["9", "2", "3"]);
  });

  it("keeps the addresses of a name that resolves to nothing for a while (NR1)", () => {
    const book = new NameBook(5_000);
    book.note(0, new Map([["a", [at("1")]]]));
    assert.deepEqual(keys(book.note(keepMs - 1, new Map([["a", "ENOTFOUND"]]))), ["1"]);
    assert.equal(book.problem, "ENOTFOUND");
    assert.deepEqual(keys(book.note(keepMs, new Map([["a", []]]))), []);
    assert.equal(book.problem, "a resolves to no address");
    assert.deepEqual(keys(book.note(keepMs + 1, new Map([["a", [at("2")]]]))), ["2"]);
    assert.equal(book.problem, undefined);
  });

  it("resolves regularly, sooner after a failure, and never at once again (NR2)", () => {
    const book = new NameBook(5_000);
    assert.equal(book.nextAt, Number.NEGATIVE_INFINITY);
    book.begin(100);
    assert.equal(book.nextAt, 5_100);
    book.hurry();
    assert.equal(book.nextAt, 100 + leastMs);
    book.begin(700);
    assert.equal(book.nextAt, 5_700);
    const quick = new NameBook(200);
    quick.begin(0);
    quick.hurry();
    assert.equal(quick.nextAt, 200);
  });

  it("takes no more addresses than it can use (NR3)", () => {
    const many = Array.from({ length: 1_000 }, (_, i) => at(`10.0.${i >> 8}.${i & 255}`));
    assert.equal(new NameBook(5_000).note(0, new Map([["a", many]])).length, maxAddresses);
  });
});
