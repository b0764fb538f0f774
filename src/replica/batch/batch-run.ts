import { CallScope, type CallTime } from "../../call/call-scope.js";
import { holdError } from "../../call/copy-value.js";
import { type ApiTarget, isNative, type RowLayout, runInScope, toNative } from "../../call/invoke.js";
import { ServingError } from "../../failure/serving-error.js";
import { reportFailure } from "../call-host.js";
import { noteJoined } from "../lane.js";
import type { Batch, BatchEnded } from "./batcher.js";
import type { Piece } from "./row-call.js";

// One batch, from the rows of its calls to their results.
//
// BR1  Each piece is answered once. `ended` is called once, after all of them.
// BR2  The author's function runs in the batch's own scope, which is cancelled when the last of its callers has left. A
//      batch with one call runs in the scope of that call.
// BR3  A batch that threw is run again in halves, but only if the api is idempotent and the fault may lie in its rows.
//      There are at most as many runs as calls, so a model that always fails costs no more than without batches.

/** Parts that all batches of one api share. */
interface BatchDeps {
  readonly target: ApiTarget;
  readonly layout: RowLayout;
  /** True when the api may run twice for one call. */
  readonly idempotent: boolean;
  readonly time: CallTime;
}

/** Runs a batch and answers its pieces. Never throws. */
export function runBatch(deps: BatchDeps, batch: Batch, ended: BatchEnded): void {
  new BatchRun(deps, batch, ended).start();
}

class BatchRun {
  readonly #deps: BatchDeps;
  readonly #pieces: readonly Piece[];
  readonly #ended: BatchEnded;
  readonly #scope: CallScope;
  readonly #startedAt: number;
  /** Runs that are left (BR3). */
  #runsLeft: number;

  constructor(deps: BatchDeps, { pieces }: Batch, ended: BatchEnded) {
    this.#deps = deps;
    this.#pieces = pieces;
    this.#ended = ended;
    this.#startedAt = deps.time.clock.now();
    this.#scope = openBatchScope(pieces, deps.time, this.#startedAt);
    this.#runsLeft = deps.idempotent ? pieces.length : 0;
  }

  start(): void {
    const { turns, clock } = this.#deps.time;
    const before = turns.spentMs;
    this.#run();
    turns.count(before, clock.now() - this.#startedAt);
  }

  #run(): void {
    let returned: unknown;
    try {
      returned = toNative(this.#call(this.#pieces));
    } catch (error) {
      this.#fail(error);
      return;
    }
    if (!isNative(returned)) {
      this.#finish(returned);
      return;
    }
    returned.then(
      (output) => this.#finish(output),
      (error: unknown) => this.#fail(error),
    );
  }

  #call(pieces: readonly Piece[]): unknown {
    const { target, layout } = this.#deps;
    const inputs = pieces.map((piece) => piece.input);
    // A batch that may run again keeps its rows unchanged: the function gets copies.
    const input = layout.joinInputs(inputs, this.#runsLeft > 0);
    return runInScope(this.#scope, target.run, input);
  }

  #finish(output: unknown): void {
    const tookMs = this.#deps.time.clock.now() - this.#startedAt;
    try {
      this.#answer(this.#pieces, output);
    } catch (error) {
      this.#refuse(this.#pieces, error);
    }
    this.#end(tookMs);
  }

  /** @throws {ServingError} when the output can't be cut. No piece has been answered then. */
  #answer(pieces: readonly Piece[], output: unknown): void {
    const counts = pieces.map((piece) => piece.rows);
    const outputs = this.#deps.layout.splitOutput(output, counts);
    pieces.forEach((piece, i) => {
      piece.call.pieceDone(piece, outputs[i]);
    });
  }

  #fail(error: unknown): void {
    if (this.#pieces.length === 1 || this.#runsLeft === 0 || !mayBeRows(error)) {
      this.#refuse(this.#pieces, error);
      this.#end(undefined);
      return;
    }
    this.#runHalves(this.#pieces, holdError(error)).then(() => this.#end(undefined));
  }

  /** Fails all pieces with one failure. It is logged once, and does not say which row was at fault. */
  #refuse(pieces: readonly Piece[], thrown: unknown): void {
    const error = reportFailure(thrown, this.#scope);
    for (const { call } of pieces) call.pieceFailed(error);
  }

  /** Answers pieces whose batch threw `error`. A single piece gets the error; more pieces are tried in halves. */
  async #runHalves(pieces: readonly Piece[], error: unknown): Promise<void> {
    if (pieces.length === 1 || this.#scope.isEnded || !mayBeRows(error)) {
      this.#refuse(pieces, error);
      return;
    }
    const middle = Math.ceil(pieces.length / 2);
    for (const half of [pieces.slice(0, middle), pieces.slice(middle)]) await this.#runAgain(half, error);
  }

  async #runAgain(pieces: readonly Piece[], error: unknown): Promise<void> {
    if (this.#runsLeft === 0 || this.#scope.isEnded) {
      this.#refuse(pieces, error);
      return;
    }
    this.#runsLeft--;
    const { turns, clock } = this.#deps.time;
    await turns.passed();
    if (this.#scope.isEnded) {
      this.#refuse(pieces, error);
      return;
    }
    const before = turns.spentMs;
    const from = clock.now();
    try {
      const returned = toNative(this.#call(pieces));
      turns.count(before, clock.now() - from);
      // An output that is there already is read at once, since its author may change it in the next turn.
      this.#answer(pieces, isNative(returned) ? await returned : returned);
    } catch (again) {
      await this.#runHalves(pieces, holdError(again));
    }
  }

  #end(tookMs: number | undefined): void {
    if (this.#scope !== this.#pieces[0]?.call.scope) this.#scope.close();
    this.#ended(tookMs);
  }
}

/**
 * Returns false for failures that rows can't cause: a callee that is down, busy or out of time would fail each half
 * too.
 */
function mayBeRows(error: unknown): boolean {
  if (!(error instanceof ServingError)) return true;
  return !error.retryable && error.code !== "deadline_exceeded" && error.code !== "cancelled";
}

/** Opens the scope of a batch (BR2), with the latest deadline of its calls and the request of its first. */
function openBatchScope(pieces: readonly Piece[], time: CallTime, now: number): CallScope {
  const scopes = pieces.map(({ call }) => call.scope);
  const [first] = scopes as [CallScope];
  if (scopes.length === 1) {
    first.joinBatch();
    return first;
  }
  const { service, api, caller, request } = first.call;
  const scope = new CallScope(
    {
      service,
      api,
      caller,
      outside: false,
      deadline: Math.max(...scopes.map(({ expiresAt }) => expiresAt)),
      request: scopes.every(({ call }) => call.request === request) ? request : request.withoutCaller(),
      priority: scopes.some(({ priority }) => priority === "interactive") ? "interactive" : "background",
    },
    undefined,
    time,
    now,
  );
  scope.runBy({ log: first.logger });
  scope.joinBatch();
  noteJoined(scope, scopes);
  let callers = scopes.length;
  const leave = (reason: ServingError) => {
    if (--callers === 0) scope.cancel(reason);
  };
  for (const each of scopes) each.onCancel(leave);
  return scope;
}
