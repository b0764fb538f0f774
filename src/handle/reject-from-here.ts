import type { Caller } from "../call/call.js";
import type { ServingError } from "../failure/serving-error.js";

/** A stack grows with each hop it passes; beyond this it is cut. */
const maxStackLength = 16_384;

/**
 * Rejects with `error`, to whose stack the caller and its own frames are added.
 *
 * V8 knows who awaits a promise, but only once that promise has been joined to the one this returns, which takes two turns
 * of the microtask queue. So the callers' stack costs nothing as long as nothing fails. A function that returns the promise
 * without awaiting it has no frame; its service and api are named all the same.
 */
export async function rejectFromHere(error: ServingError, { service, api }: Caller): Promise<never> {
  const stack = error.stack ?? "";
  // One that has no frames of its own is to cost nothing: see `FailureRow.hasNoStack`.
  if (!stack.includes("\n    at ")) throw error;
  await undefined;
  await undefined;
  await undefined;
  const here: { stack?: string } = {};
  Error.captureStackTrace(here, rejectFromHere);
  const frames = (here.stack ?? "")
    .split("\n")
    .filter((line) => /^ +at /.test(line) && !line.includes("node:internal/"));
  const head = `    -- called by ${api === "" ? service : `${service}.${api}`} --`;
  error.stack = [stack, head, ...frames].join("\n").slice(0, maxStackLength);
  throw error;
}
