import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { matchRange, parseAccept, pickType } from "./output-form.js";

const pick = (accept: string, ...offers: string[]) => pickType(parseAccept(accept), offers);
const json = "application/json";
const text = "text/plain";

describe("pickType", () => {
  it("takes the server's first where the client likes all the same", () => {
    assert.equal(pick("*/*", json, text), json);
    assert.equal(pick("application/json, text/plain, */*", json, text), json);
    assert.equal(pick("text/plain, application/json", json, text), json);
  });

  it("takes what the client names over what it would also take", () => {
    assert.equal(pick("text/plain, */*", json, text), text);
    assert.equal(pick("text/*, */*;q=0.8", json, text), text);
    assert.equal(pick("image/png", "image/*", json), "image/*");
  });

  it("goes by quality first", () => {
    assert.equal(pick("application/json;q=0.5, text/plain;q=0.9", json, text), text);
    assert.equal(pick("text/plain; q=0.1, */*; q=0.2", json, text), json);
  });

  it("refuses what has quality 0, even where a wider range would take it", () => {
    assert.equal(pick("*/*, application/json;q=0", json, text), text);
    assert.equal(pick("application/json;q=0", json), undefined);
  });

  it("gives nothing where nothing fits", () => {
    assert.equal(pick("text/html", json, text), undefined);
    assert.equal(pick("image/*", json), undefined);
  });

  it("passes over what is no media range", () => {
    assert.equal(pick(",, nonsense, ;q=1, text/plain", json, text), text);
    assert.equal(pick("application/json;q=2", json), undefined);
    assert.deepEqual(parseAccept("nonsense"), []);
  });

  it("reads parameters, quoted or not", () => {
    const ranges = parseAccept('application/json; tensors="base64"; q=0.5');
    assert.equal(matchRange(ranges, json)?.parameters.get("tensors"), "base64");
    assert.equal(matchRange(ranges, json)?.quality, 0.5);
  });
});
