import { type ServingError, unreachable } from "../failure/serving-error.js";

/** Where a replica's place is in its life. */
export type ReplicaState =
  | { readonly kind: "new" }
  | { readonly kind: "starting" }
  /** `since` is when it became so. */
  | { readonly kind: "ready"; readonly since: number }
  /** Its event loop does not turn: it gets no calls. */
  | { readonly kind: "out"; readonly since: number }
  /** Between two lives. */
  | { readonly kind: "waiting"; readonly reason: string; readonly delayMs: number }
  /** The same, after so many short lives in a row that the place counts as down. */
  | { readonly kind: "down"; readonly reason: string; readonly attempts: number; readonly delayMs: number }
  | { readonly kind: "draining" }
  | { readonly kind: "stopped" };

const legalMoves: Readonly<Record<ReplicaState["kind"], readonly ReplicaState["kind"][]>> = {
  new: ["starting", "draining", "stopped"],
  starting: ["ready", "waiting", "down", "draining", "stopped"],
  // To itself when another replica takes the place.
  ready: ["ready", "out", "waiting", "down", "draining", "stopped"],
  out: ["ready", "waiting", "down", "draining", "stopped"],
  waiting: ["starting", "draining", "stopped"],
  down: ["starting", "draining", "stopped"],
  draining: ["stopped"],
  stopped: [],
};

/** The state after a move. A move that is not in the table is a fault of ekiben's own. */
export function moveTo(from: ReplicaState, to: ReplicaState): ReplicaState {
  if (!legalMoves[from.kind].includes(to.kind)) unreachable(`a replica went from ${from.kind} to ${to.kind}`);
  return to;
}

/** Whether nothing more is to happen in this place. */
export const isOver = ({ kind }: ReplicaState): boolean => kind === "draining" || kind === "stopped";

/** A state in words, for readiness and logs. */
export function formatState(state: ReplicaState): string {
  switch (state.kind) {
    case "waiting":
      return `${state.reason}; is started again after ${state.delayMs} ms`;
    case "down":
      return `is down after ${state.attempts} short lives in a row (restart.giveUpAfter): ${state.reason}; is started again after ${state.delayMs} ms`;
    case "out":
      return "does not answer, its event loop is busy";
    case "new":
      return "is not started yet";
    default:
      return `is ${state.kind}`;
  }
}

/** What an app tells about its own life, in order. */
export type AppEvent =
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

export type OnAppEvent = (event: AppEvent) => void;
