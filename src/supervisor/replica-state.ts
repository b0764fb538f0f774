import { type ServingError, unreachable } from "../failure/serving-error.js";

/** Lifecycle state of one replica slot. */
export type ReplicaState =
  | { readonly kind: "new" }
  | { readonly kind: "starting" }
  /** `since` is the time at which the replica became ready. */
  | { readonly kind: "ready"; readonly since: number }
  /** Suspended: its event loop does not turn, so it gets no calls. */
  | { readonly kind: "out"; readonly since: number }
  /** Between two runs. */
  | { readonly kind: "waiting"; readonly reason: string; readonly delayMs: number }
  /** Between two runs, after `restart.giveUpAfter` failures in a row. */
  | { readonly kind: "down"; readonly reason: string; readonly attempts: number; readonly delayMs: number }
  | { readonly kind: "draining" }
  | { readonly kind: "stopped" };

const legalMoves: Readonly<Record<ReplicaState["kind"], readonly ReplicaState["kind"][]>> = {
  new: ["starting", "draining", "stopped"],
  starting: ["ready", "waiting", "down", "draining", "stopped"],
  // `ready` to `ready`: another replica replaces this one.
  ready: ["ready", "out", "waiting", "down", "draining", "stopped"],
  out: ["ready", "waiting", "down", "draining", "stopped"],
  waiting: ["starting", "draining", "stopped"],
  down: ["starting", "draining", "stopped"],
  draining: ["stopped"],
  stopped: [],
};

/** Returns the state after a move. A move that is not in the table is a bug in ekiben. */
export function moveTo(from: ReplicaState, to: ReplicaState): ReplicaState {
  if (!legalMoves[from.kind].includes(to.kind)) unreachable(`a replica went from ${from.kind} to ${to.kind}`);
  return to;
}

/** Reasons why a replica ends while its app runs, as metrics name them. */
export const endReasons = ["crashed", "start_failed", "stuck", "memory", "moved", "scaled_in"] as const;

export type EndReason = (typeof endReasons)[number];

/** Ends by reason. */
export type EndCounts = Record<EndReason, number>;

export const noEnds = (): EndCounts => Object.fromEntries(endReasons.map((reason) => [reason, 0])) as EndCounts;

/** True when the slot starts nothing any more. */
export const isOver = ({ kind }: ReplicaState): boolean => kind === "draining" || kind === "stopped";

/** Returns a state as text, for readiness and logs. */
export function formatState(state: ReplicaState): string {
  switch (state.kind) {
    case "waiting":
      return `${state.reason}; is started again after ${state.delayMs} ms`;
    case "down":
      return `is down after ${state.attempts} failures in a row (restart.giveUpAfter): ${state.reason}; is started again after ${state.delayMs} ms`;
    case "out":
      return "does not answer, its event loop is busy";
    case "new":
      return "is not started yet";
    default:
      return `is ${state.kind}`;
  }
}

/** One event in the life of an app. Events come in order. */
export type AppEvent =
  | { readonly kind: "notice"; readonly message: string }
  /** A model is fetched before the services start. `totalBytes` is `undefined` while it is unknown. */
  | {
      readonly kind: "fetching";
      readonly service: string;
      readonly model: string;
      readonly doneBytes: number;
      readonly totalBytes: number | undefined;
    }
  | { readonly kind: "fetched"; readonly service: string; readonly model: string; readonly ms: number }
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
  /** The app will drain after `delayMs` (`shutdownDelayMs`). Until then it is unready and serves requests. */
  | { readonly kind: "leaving"; readonly delayMs: number }
  | { readonly kind: "draining"; readonly inFlight: number }
  | { readonly kind: "stopped" };

export type OnAppEvent = (event: AppEvent) => void;
