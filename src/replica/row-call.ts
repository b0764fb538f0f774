import type { CallScope } from "../call/call-scope.js";
import { failRow, type RowLayout } from "../call/row-layout.js";
import type { ServingError } from "../failure/serving-error.js";
import type { QueuePlace } from "./call-queue.js";

// One call of an api that batches, from its check to its answer.
//
// W1  Its rows go in pieces of at most `maxRows`, in order; most calls are one piece.
// W2  It is answered once: when its last piece is done, or when it has failed and no piece of it runs any more.
// W3  When it fails, by a row, a batch or a cancellation, the pieces that still wait are taken back at once.

/** Rows of one call that stay together. */
export interface Piece {
  readonly call: RowCall;
  readonly index: number;
  readonly input: unknown;
  readonly rows: number;
  /** Where it stands in its queue; absent before and after. */
  place: QueuePlace<Piece> | undefined;
}

/** Where the pieces of a call wait. */
export interface PieceQueue {
  /** Takes back those of a call that still wait. */
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
export interface RowCallParts {
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
  readonly pieces: readonly Piece[];
  /** When it came. */
  readonly cameAt: number;
  /** Set by whoever lets it wait. */
  queue: PieceQueue | undefined;
  readonly #parts: RowCallParts;
  readonly #outputs: unknown[] = [];
  #running = 0;
  #done = 0;
  #hasBegun = false;
  #failure: { readonly error: unknown; readonly isDescribed: boolean } | undefined;

  constructor(parts: RowCallParts) {
    this.#parts = parts;
    this.scope = parts.scope;
    this.cameAt = parts.cameAt;
    this.pieces = this.#cut();
  }

  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  /** One of its pieces has left in a batch. */
  pieceLeft(now: number): void {
    this.#running++;
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    this.#parts.sink.begun(now);
  }

  /** The batch with the piece is done. @param output As many rows as the piece has. */
  pieceDone({ index }: Piece, output: unknown): void {
    this.#running--;
    const { layout, rows, maxRows } = this.#parts;
    const failure = layout.findFailure(output);
    if (failure !== undefined) {
      this.fail(failRow(failure, index * maxRows, rows));
      return;
    }
    this.#outputs[index] = output;
    this.#done++;
    this.#settle();
  }

  /** The batch with the piece has failed, and so has every other call in it. */
  pieceFailed(error: ServingError): void {
    this.#running--;
    this.fail(error, true);
  }

  /** Nothing more will come of it (W3). */
  fail(error: unknown, isDescribed = false): void {
    if (this.#failure === undefined) {
      this.#failure = { error, isDescribed };
      this.queue?.withdraw(this);
    }
    this.#settle();
  }

  #settle(): void {
    if (this.#running > 0) return;
    const { sink, layout } = this.#parts;
    if (this.#failure !== undefined) {
      sink.failed(this.#failure.error, this.#failure.isDescribed);
      return;
    }
    if (this.#done < this.pieces.length) return;
    let output: unknown;
    try {
      output = layout.joinOutputs(this.#outputs);
    } catch (error) {
      sink.failed(error, false);
      return;
    }
    sink.done(output);
  }

  #cut(): Piece[] {
    const { input, rows, layout, maxRows } = this.#parts;
    if (rows <= maxRows) return [{ call: this, index: 0, input, rows, place: undefined }];
    return Array.from({ length: Math.ceil(rows / maxRows) }, (_, index) => {
      const start = index * maxRows;
      const end = Math.min(rows, start + maxRows);
      const piece = layout.sliceInput(input, start, end);
      return { call: this, index, input: piece, rows: end - start, place: undefined };
    });
  }
}
