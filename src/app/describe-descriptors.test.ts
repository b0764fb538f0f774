import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { formatDescriptorLimit, readOpenFiles } from "./start-server.js";

describe("formatDescriptorLimit", () => {
  it("names both numbers, and what to set, where connections may take every descriptor", () => {
    const text = formatDescriptorLimit(10_000, 4096) ?? "";
    assert.match(text, /^ulimit -n is 4096, http\.maxConnections 10000: /);
    assert.match(text, /raise the limit to 10064, or set http\.maxConnections to 4032$/);
    assert.match(formatDescriptorLimit(10_000, 48) ?? "", /set http\.maxConnections to 1$/);
  });

  it("says nothing where there is room, or where nobody knows", () => {
    assert.equal(formatDescriptorLimit(10_000, 10_064), undefined);
    assert.equal(formatDescriptorLimit(10_000, undefined), undefined);
  });
});

describe("readOpenFiles", () => {
  it("is the limit of this process", () => {
    const limit = readOpenFiles();
    assert.ok(limit === undefined || (Number.isInteger(limit) && limit > 16), String(limit));
  });
});
