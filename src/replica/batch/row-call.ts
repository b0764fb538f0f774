import type { CallScope } from "../../call/call-scope.js";
import { holdError, holdValue } from "../../call/copy-value.js";
import { failRow, type RowLayout } from "../../call/invoke.js";
import type { ServingError } from "../../failure/serving-error.js";
import type { QueueEntry } from "../call-queue.js";
import type { QueueWait } from "../gate.js";

// One call of an api that batches, from its check to its answer.
//
// BC1  Its rows stay together, unless they are more than `maxRows`. Then they leave piece by piece, in order, each as
//      large as the batch has room for.
// BC2  It is answered once: when its last piece is done, or when it has failed and none of its pieces runs. Later
//      events, such as a cancellation while its output is being checked, change nothing.
// BC3  Outputs of its pieces are held (`holdValue`) until the last piece is done. A call in one piece is answered at
//      once.
// BC4  When it fails, by a row, a batch or a cancellation, its waiting rows are withdrawn at once.

/** Rows of one call that are in one batch. */
export interface Piece {
  readonly call: RowCall;
  readonly index: number;
  /** Index of its first row in the call. */
  readonly start: number;
  readonly input: unknown;
  readonly rows: number;
}

/** Queue in which a call waits. */
export interface RowQueue {
  /** Removes the rows of a call that still wait. */
  withdraw(call: RowCall): void;
}

/** Receiver of the events of one call. */
export interface RowCallSink {
  /** Called when the first of its rows has left in a batch. */
  begun(now: number): void;
  done(output: unknown): void;
  /**
   * @param isDescribed True when `error` is the failure that it shares with other calls; otherwise `error` is whatever
   * was thrown.
   */
  failed(error: unknown, isDescribed: boolean): void;
}

/** Parts of a call of an api that batches. */
interface RowCallDeps {
  readonly scope: CallScope;
  /** Checked, with at least one row. */
  readonly input: unknown;
  readonly rows: number;
  /** Arrival time. */
  readonly cameAt: number;
  readonly layout: RowLayout;
  readonly maxRows: number;
  readonly sink: RowCallSink;
}

export class RowCall {
  readonly scope: CallScope;
  readonly cameAt: number;
  /** Queue in which it waits. Set by the batcher. */
  queue: RowQueue | undefined;
  /** Entry in that queue; `undefined` when none of its rows waits. */
  entry: QueueEntry<RowCall> | undefined;
  /** Set when the first of its rows leaves. */
  waited: QueueWait | undefined;
  readonly #deps: RowCallDeps;
  readonly #outputs: unknown[] = [];
  #takenRows = 0;
  #takenPieces = 0;
  #doneRows = 0;
  #running = 0;
  #failure: { readonly error: unknown; readonly isDescribed: boolean } | undefined;
  /** True once its sink has been called (BC2). */
  #isSettled = false;

  constructor(deps: RowCallDeps) {
    this.#deps = deps;
    this.scope = deps.scope;
    this.cameAt = deps.cameAt;
  }

  get hasBegun(): boolean {
    return this.#takenPieces > 0;
  }

  /** Rows that have not left in a batch. */
  get waitingRows(): number {
    return this.#deps.rows - this.#takenRows;
  }

  /**
   * Takes rows for a batch (BC1).
   *
   * @param room Rows that the batch can still have, at least 1.
   * @returns `undefined` when the rows must stay together and there is no room for all of them.
   */
  take(room: number, now: number): Piece | undefined {
    const { rows, maxRows, input, layout, sink } = this.#deps;
    const isWhole = rows <= maxRows;
    if (isWhole && rows > room) return undefined;
    const start = this.#takenRows;
    const end = isWhole ? rows : Math.min(rows, start + room);
    const index = this.#takenPieces++;
    this.#takenRows = end;
    this.#running++;
    if (index === 0) sink.begun(now);
    const own = isWhole ? input : layout.sliceInput(input, start, end);
    return { call: this, index, start, input: own, rows: end - start };
  }

  /**
   * Notes that the batch with the piece is done. Never throws: an invalid output fails this call alone.
   *
   * @param output Output with as many rows as the piece.
   */
  pieceDone(piece: Piece, output: unknown): void {
    this.#running--;
    try {
      this.#keep(piece, output);
    } catch (error) {
      this.fail(error);
      return;
    }
    this.#settle();
  }

  /** Notes that the batch with the piece has failed, together with all calls in it. */
  pieceFailed(error: ServingError): void {
    this.#running--;
    this.fail(error, true);
  }

  /** Fails the call and withdraws its waiting rows (BC4). */
  fail(error: unknown, isDescribed = false): void {
    if (this.#isSettled) return;
    if (this.#failure === undefined) {
      this.#failure = { error: this.#running > 0 ? holdError(error) : error, isDescribed };
      this.queue?.withdraw(this);
    }
    this.#settle();
  }

  /** @throws The failure of a row. */
  #keep({ index, start, rows }: Piece, output: unknown): void {
    const { layout } = this.#deps;
    const failure = layout.findFailure(output);
    if (failure !== undefined) throw failRow(failure, start, this.#deps.rows);
    this.#doneRows += rows;
    // The function that made it runs again before the call is answered, and may reuse its memory.
    this.#outputs[index] = this.#doneRows < this.#deps.rows ? holdValue(output) : output;
  }

  #settle(): void {
    if (this.#running > 0 || this.#isSettled) return;
    const { sink, layout, rows } = this.#deps;
    if (this.#failure !== undefined) {
      this.#isSettled = true;
      sink.failed(this.#failure.error, this.#failure.isDescribed);
      return;
    }
    if (this.#doneRows < rows) return;
    this.#isSettled = true;
    let output: unknown;
    try {
      output = layout.joinOutputs(this.#outputs);
    } catch (error) {
      sink.failed(error, false);
      return;
    }
    sink.done(output);
  }
}
