import assert from "node:assert/strict";
import { it } from "node:test";
import { keepLoaded } from "./jwt.js";

it("keepLoaded keeps what was loaded, and loads again after a failure", async () => {
  let count = 0;
  const load = keepLoaded(async () => {
    count++;
    if (count === 1) throw new Error("EMFILE");
    return count;
  });
  const [one, other] = [load(), load()];
  await assert.rejects(one, /EMFILE/);
  await assert.rejects(other, /EMFILE/);
  assert.deepEqual([await load(), await load(), count], [2, 2, 2]);
});
