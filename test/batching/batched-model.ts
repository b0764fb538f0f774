import { z } from "zod";
import { createDeferred, type Deferred } from "../../src/base/clock.js";
import { type Logger, silentLogger } from "../../src/base/logger.js";
import type { Priority, RequestContext } from "../../src/call/call.js";
import { createCallTime } from "../../src/call/call-scope.js";
import { currentCall } from "../../src/call/invoke.js";
import type { CurrentCall } from "../../src/call/running-call.js";
import { api, Service, type ServingError } from "../../src/index.js";
import { serveCall } from "../../src/replica/serve-call.js";
import { FakeClock } from "../fake-clock.js";
import { openCall } from "../transport/open-call.js";
import { startReplica } from "../transport/start-replica.js";

/** Settings of the one api, apart from its rows. */
export interface ModelWish {
  readonly batch: { readonly maxRows: number; readonly windowMs?: number; readonly maxConcurrent?: number };
  readonly maxQueued?: number;
  readonly idempotent?: boolean;
  /** Schema of one output row. Default: a text of up to 20 characters. */
  readonly outputRow?: z.ZodType<string>;
}

/** Settings of one call. */
export interface RowsWish {
  readonly deadline?: number;
  readonly request?: RequestContext;
  readonly priority?: Priority;
}

/** One batch, as the author's function received it. */
export interface SeenBatch {
  readonly rows: readonly string[];
  readonly call: Pick<CurrentCall, "signal" | "deadline" | "requestId" | "headers" | "priority">;
  /** Ends the batch; used only while batches are held. */
  readonly end: Deferred<void>;
}

/** Waits three turns of the event loop: a batch leaves in one, and its calls are answered in the next. */
export const turn = async () => {
  for (let i = 0; i < 3; i++) await new Promise(setImmediate);
};

/** Starts a replica whose one api, `upper`, joins texts. The test plays both the callers and the model. */
export async function startBatchedModel({ batch, outputRow = z.string().max(20), ...bounds }: ModelWish) {
  const clock = new FakeClock();
  const lines: { readonly fields: Record<string, unknown>; readonly line: string }[] = [];
  const write = (fields: object, line = "") => lines.push({ fields: fields as Record<string, unknown>, line });
  const log: Logger = { ...silentLogger, error: write, warn: write, child: () => log };
  const stage = {
    clock,
    lines,
    batches: [] as SeenBatch[],
    /** True when batches run until the test ends them. */
    isHeld: false,
    /** Output of the model for some rows. */
    model: (rows: readonly string[]): unknown => rows.map((row) => row.toUpperCase()),
    sizes: () => stage.batches.map(({ rows }) => rows.length),
    rows: () => stage.batches.map(({ rows }) => rows.join(" ")),
    call,
    stats: () => replica.deps.stats,
    replica: () => replica,
    /**
     * Runs batches of these sizes one after the other, each with the duration that `costMs` returns, so that costs are
     * known.
     */
    teach,
  };
  class Model extends Service() {
    upper = api({ input: z.array(z.string().max(20)), output: z.array(outputRow), batch, ...bounds }, async (rows) => {
      const { signal, deadline, requestId, headers, priority } = currentCall();
      const end = createDeferred<void>();
      stage.batches.push({ rows, call: { signal, deadline, requestId, headers, priority }, end });
      if (stage.isHeld) await end.promise;
      return stage.model(rows) as string[];
    });
  }
  const time = createCallTime(clock);
  const replica = await startReplica(Model, { time, log });
  function call(rows: unknown, wish: RowsWish = {}) {
    const made = openCall("upper", rows, { service: "Model", time, ...wish });
    const { scope } = made;
    const reply = {
      output: (output: unknown) => scope.reply(output),
      failure: (error: ServingError) => scope.replyFailure(error),
    };
    serveCall(replica, scope, rows, reply);
    return made;
  }
  async function teach(sizes: readonly number[], costMs: (rows: number) => number) {
    const { isHeld } = stage;
    stage.isHeld = true;
    let taught = 0;
    for (const size of sizes) {
      taught++;
      call(Array(size).fill("x"));
      await turn();
      if (stage.batches.length < taught) clock.advance(batch.windowMs ?? 0);
      await turn();
      clock.advance(costMs(size));
      stage.batches.at(-1)?.end.resolve();
      await turn();
    }
    stage.isHeld = isHeld;
    stage.batches.length = 0;
  }
  return stage;
}
