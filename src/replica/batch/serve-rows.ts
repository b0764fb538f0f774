import { fail } from "../../failure/failures.js";
import type { ServingError } from "../../failure/serving-error.js";
import { type CallToServe, reportFailure } from "../call-host.js";
import type { Batcher } from "./batcher.js";
import { RowCall, type RowCallSink } from "./row-call.js";

/**
 * Answers one call of an api that batches: checks its input, lets its rows wait for a batch, checks its part of the
 * output. Ends the scope; never throws.
 *
 * The input is always checked, even when the app asks for fewer checks, since an invalid row of one caller could fail
 * the rows of others.
 */
export function serveRows(served: CallToServe): void {
  new RowServer(served).serve();
}

class RowServer implements RowCallSink {
  readonly #served: CallToServe;
  readonly #batcher: Batcher;
  readonly #cameAt: number;
  #checkedInput: unknown;
  #begunAt: number | undefined;
  #isQueued = false;

  constructor(served: CallToServe) {
    this.#served = served;
    this.#batcher = served.api.batcher as Batcher;
    this.#cameAt = served.scope.time.clock.now();
  }

  serve(): void {
    const { api, input } = this.#served;
    try {
      this.#refuseIfFull();
      const checked = api.target.checkInput(input);
      if (checked instanceof Promise) {
        checked.then((settled) => this.#enqueueOrFail(settled)).catch((error: unknown) => this.failed(error, false));
        return;
      }
      this.#enqueue(checked);
    } catch (error) {
      this.failed(error, false);
    }
  }

  begun(now: number): void {
    const { api } = this.#served;
    this.#begunAt = now;
    this.#isQueued = false;
    this.#served.scope.leaveQueue();
    api.stats.queueTime.observe(now - this.#cameAt);
    api.stats.queued--;
    api.stats.running++;
  }

  done(output: unknown): void {
    const { api, replica, scope } = this.#served;
    if (!(replica.deps.checksInside || scope.call.outside)) {
      this.#reply(output);
      return;
    }
    let checked: unknown;
    try {
      checked = api.target.checkOutput(output, this.#checkedInput);
    } catch (error) {
      this.failed(error, false);
      return;
    }
    if (!(checked instanceof Promise)) {
      this.#reply(checked);
      return;
    }
    checked.then(
      (settled) => this.#reply(settled),
      (error: unknown) => this.failed(error, false),
    );
  }

  failed(thrown: unknown, isDescribed: boolean): void {
    const { replica, scope, reply } = this.#served;
    const error = isDescribed ? (thrown as ServingError) : reportFailure(thrown, scope);
    this.#end();
    replica.endCall();
    reply.failure(error);
  }

  #refuseIfFull(): void {
    const { scope } = this.#served;
    const refusal = this.#batcher.refuse(scope, scope.time.clock.now());
    if (refusal !== undefined) throw refusal;
  }

  /** Queues a call after an asynchronous check. Meanwhile the queue may have filled, or the caller may have left. */
  #enqueueOrFail(checked: unknown): void {
    const { scope } = this.#served;
    if (scope.isEnded) throw scope.reason ?? fail("cancelled", { reason: "its caller has ended" });
    this.#refuseIfFull();
    this.#enqueue(checked);
  }

  #enqueue(checked: unknown): void {
    const { api, scope } = this.#served;
    const layout = api.target.rows as NonNullable<typeof api.target.rows>;
    this.#checkedInput = checked;
    const rows = layout.countRows(checked);
    if (rows === 0) {
      this.done(layout.emptyOutput(checked));
      return;
    }
    const { maxRows } = this.#batcher;
    const call = new RowCall({ scope, input: checked, rows, cameAt: this.#cameAt, layout, maxRows, sink: this });
    api.stats.queued++;
    this.#isQueued = true;
    scope.joinQueue(this.#batcher);
    this.#batcher.add(call, layout.groupOf(checked));
  }

  #reply(output: unknown): void {
    const { replica, reply } = this.#served;
    this.#end();
    replica.endCall();
    reply.output(output);
  }

  /** Records the times of the call, and ends its scope. */
  #end(): void {
    const { api, scope } = this.#served;
    const now = scope.time.clock.now();
    scope.markEnded(now);
    if (this.#isQueued) {
      api.stats.queued--;
      api.stats.queueTime.observe(now - this.#cameAt);
    }
    if (this.#begunAt !== undefined) {
      api.stats.running--;
      api.stats.runTime.observe(now - this.#begunAt);
    }
    scope.close();
  }
}
