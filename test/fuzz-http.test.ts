import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fuzz } from "./http/fuzz.js";

describe("the HTTP edge under random requests", () => {
  it("answers each without a 5xx, says what is wrong, and keeps serving", async () => {
    const statuses = await fuzz(1, 600);
    // The generator must make more than one kind of request.
    for (const status of [200, 400, 404, 405, 406, 413, 415]) assert.ok(statuses.has(status), `no ${status} came back`);
  });
});
