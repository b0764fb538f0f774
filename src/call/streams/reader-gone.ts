import { fail } from "../../failure/fail.js";
import type { ServingError } from "../../failure/serving-error.js";

/** Why a call is cancelled whose stream nobody reads any more. */
export const readerGone = (): ServingError => fail("cancelled", { reason: "its reader has ended the stream" });
