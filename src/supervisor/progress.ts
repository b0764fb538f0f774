import type { ServingError } from "../failure/serving-error.js";

/** What an app tells about its own life, in order. */
export type Progress =
  | { readonly kind: "notice"; readonly message: string }
  | { readonly kind: "starting"; readonly service: string; readonly replica: string }
  | { readonly kind: "started"; readonly service: string; readonly replica: string; readonly ms: number }
  | {
      readonly kind: "failed";
      readonly service: string;
      readonly replica: string;
      readonly hook: string;
      readonly error: ServingError;
      readonly ms: number;
    }
  | { readonly kind: "listening"; readonly url: string; readonly ms: number }
  /** It will drain, and is unready until then; see `shutdownDelayMs`. */
  | { readonly kind: "leaving"; readonly delayMs: number }
  | { readonly kind: "draining"; readonly inFlight: number }
  | { readonly kind: "stopped" };

export type OnProgress = (event: Progress) => void;
