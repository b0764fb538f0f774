import type { ServingError } from "../failure/serving-error.js";

/** A stack grows with each hop it passes; beyond this it is cut. */
const maxStackLength = 16_384;

/**
 * Rejects with `error`, to whose stack the callers' own frames are added.
 *
 * V8 knows who awaits a promise, but only once that promise has been joined to the one this returns, which takes two turns
 * of the microtask queue. So the callers' stack costs nothing as long as nothing fails.
 */
export async function rejectFromHere(error: ServingError): Promise<never> {
  await undefined;
  await undefined;
  await undefined;
  const here: { stack?: string } = {};
  Error.captureStackTrace(here, rejectFromHere);
  const frames = here.stack?.split("\n").slice(1).join("\n") ?? "";
  if (frames !== "") error.stack = `${error.stack ?? ""}\n    -- called by --\n${frames}`.slice(0, maxStackLength);
  throw error;
}
