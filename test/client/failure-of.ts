import assert from "node:assert/strict";
import { inspect } from "node:util";
import { ServingError } from "../../src/failure/serving-error.js";

/** Returns the failure that work rejects with. */
export async function failureOf(work: unknown): Promise<ServingError> {
  try {
    await work;
  } catch (error) {
    assert.ok(error instanceof ServingError, inspect(error));
    return error;
  }
  assert.fail("it succeeded");
}
