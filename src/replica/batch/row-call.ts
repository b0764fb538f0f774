import type { CallScope } from "../../call/call-scope.js";
import { holdError, holdValue } from "../../call/copy-value.js";
import { failRow, type RowLayout } from "../../call/invoke.js";
import type { ServingError } from "../../failure/serving-error.js";
import type { QueuePlace } from "../call-queue.js";
import type { QueueWait } from "../gate.js";

// One call of an api that batches, from its check to its answer.
//
// W1  Its rows stay together, unless they are more than `maxRows`: then they leave piece by piece, in order, each as large
//     as the batch has room.
// W2  It is answered once: when its last piece is done, or when it has failed and no piece of it runs any more. What comes
//     later, as a cancellation while its output is still being checked, changes nothing.
// W3  What its pieces gave is its own until the last of them is done (`holdValue`); a call in one piece is answered at once.
// W4  When it fails, by a row, a batch or a cancellation, what of it still waits is taken back at once.

/** Rows of one call that are in one batch. */
export interface Piece {
  readonly call: RowCall;
  readonly index: number;
  /** The first of its rows, of those of the call. */
  readonly start: number;
  readonly input: unknown;
  readonly rows: number;
}

/** Where a call waits. */
export interface RowQueue {
  /** Takes back what of a call still waits. */
  withdraw(call: RowCall): void;
}

/** Who is told what becomes of a call. */
export interface RowCallSink {
  /** The first of its rows has left in a batch. */
  begun(now: number): void;
  done(output: unknown): void;
  /** @param isDescribed It failed together with others, as the failure that is given; else with what was thrown. */
  failed(error: unknown, isDescribed: boolean): void;
}

/** What a call of an api that batches is made of. */
export interface RowCallDeps {
  readonly scope: CallScope;
  /** Checked, with at least one row. */
  readonly input: unknown;
  readonly rows: number;
  /** When it came. */
  readonly cameAt: number;
  readonly layout: RowLayout;
  readonly maxRows: number;
  readonly sink: RowCallSink;
}

export class RowCall {
  readonly scope: CallScope;
  readonly cameAt: number;
  /** Where it waits, set by whoever lets it wait. */
  queue: RowQueue | undefined;
  /** Where it stands there; absent when none of its rows waits. */
  place: QueuePlace<RowCall> | undefined;
  /** Set when the first of its rows leaves. */
  waited: QueueWait | undefined;
  readonly #deps: RowCallDeps;
  readonly #outputs: unknown[] = [];
  #takenRows = 0;
  #takenPieces = 0;
  #doneRows = 0;
  #running = 0;
  #failure: { readonly error: unknown; readonly isDescribed: boolean } | undefined;
  /** Its sink has been told (W2). */
  #isSettled = false;

  constructor(deps: RowCallDeps) {
    this.#deps = deps;
    this.scope = deps.scope;
    this.cameAt = deps.cameAt;
  }

  get hasBegun(): boolean {
    return this.#takenPieces > 0;
  }

  /** Rows that have not left yet. */
  get waitingRows(): number {
    return this.#deps.rows - this.#takenRows;
  }

  /**
   * Takes rows for a batch (W1).
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
   * The batch with the piece is done. Never throws: what is wrong with it fails this call alone.
   *
   * @param output As many rows as the piece has.
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

  /** The batch with the piece has failed, and so has every other call in it. */
  pieceFailed(error: ServingError): void {
    this.#running--;
    this.fail(error, true);
  }

  /** Nothing more will come of it (W4). */
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
    // The function that made it runs again before it is answered, and may use the same memory for that.
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
