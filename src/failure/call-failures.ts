import { formatMs, type Issue, issueText, row } from "./failure-row.js";

/** Failures between a caller and an api. Those that clients raise too are in client-failures.ts. */
export const callFailures = {
  invalid_output: row<{ issues: readonly Issue[] }>({
    code: "internal",
    text: (d) => `the api returned a value that its own contract does not allow: ${issueText("output", d.issues)}`,
    fix: "Return a value that fits the contract's output, or fix the contract.",
  }),
  output_not_transferable: row<{ path: string; what: string }>({
    code: "internal",
    text: (d) => `${d.path} is ${d.what}, which can't be sent from one service to another`,
    fix: "Return plain data: JSON values, Uint8Array, Tensor, Blob, File, Date, bigint, Map, Set.",
  }),
  not_replaced: row<{ service: string; api: string }>({
    code: "unimplemented",
    text: (d) => `the fake of ${d.service} that this test gave has no ${d.api}`,
    fix: "Add the function to the object given in compose(…, { replace }).",
  }),
  tensors_unfit: row<{ problem: string }>({
    code: "internal",
    text: (d) => d.problem,
    fix: "stack() takes tensors of one dtype and one shape; concat() those whose sizes differ only along its axis; row() an index from 0 to the first size less 1.",
  }),
  batch_size_changed: row<{ rowsIn: number; rowsOut: number; field: string }>({
    code: "internal",
    text: (d) =>
      `a batch of ${d.rowsIn} rows came back with ${d.rowsOut}${d.field === "" ? "" : ` in ${d.field}`}, so no row can be matched to its call`,
    fix: "Return one row for each row of the input, in the same order. A ServingError may take the place of a row.",
  }),
  shared_call_ended: row<{ caller: string; reason: string }>({
    code: "unavailable",
    text: (d) =>
      `it waited for a call made by another request, in ${d.caller}, which was cancelled with that request (${d.reason}); make a call whose result several requests share with { detach: true }`,
    fix: "Pass { detach: true } to calls whose results are cached or shared, for example by a cache of promises or a data loader. Retry the call.",
  }),
  context_missing: row<{ name: string; reason: string }>({
    code: "unauthenticated",
    text: (d) => `${d.name} must know who is asking, and its call has no context: ${d.reason}`,
    fix: "Give the app a `context` that answers for every request (serve() in a program does not read ekiben.config.ts), a test `compose(…, { context })`. Where a call may have none (schedules, batches, caches), read `currentCall().context` instead, or pass the user as input.",
  }),
  rate_limited: row<{ limit: number; windowMs: number; retryAfterMs: number }>({
    code: "resource_exhausted",
    hasNoStack: true,
    text: (d) =>
      `more than ${d.limit} ${d.limit === 1 ? "call" : "calls"} in ${formatMs(d.windowMs)} ms; the next one may come in ${formatMs(d.retryAfterMs)} ms`,
    fix: "Retry after retryAfterMs. The limit is that of a rateLimit() in the code of the service or of its caller.",
  }),
  cache_key_failed: row<{ problem: string }>({
    code: "internal",
    text: (d) => d.problem,
    fix: "A cache compares checked inputs, so a schema may not turn them into instances of classes; `cache.key` returns a text of at most 10 000 characters.",
  }),
  lane_full: row<{ running: number; queued: number; maxQueued: number; retryAfterMs: number; overdue: number }>({
    code: "resource_exhausted",
    hasNoStack: true,
    text: (d) =>
      `the lane runs ${d.running} ${d.running === 1 ? "call" : "calls"}${d.overdue === 0 ? "" : `, ${d.overdue} of which timed out or were cancelled and have not ended,`} and holds ${d.queued} more (maxQueued ${d.maxQueued})`,
    fix: "Retry with backoff, add replicas, or raise maxConcurrent or maxQueued. A call that timed out keeps its slot until its code ends: stop that code on currentCall().signal.",
  }),
  overloaded: row<{
    queued: number;
    answerMs?: number;
    waitMs?: number;
    runMs?: number;
    leftMs?: number;
    retryAfterMs: number;
  }>({
    code: "resource_exhausted",
    hasNoStack: true,
    text: (d) => {
      const pace = d.answerMs === undefined ? "" : `, and one is answered every ${formatMs(d.answerMs)} ms`;
      return d.waitMs === undefined || d.leftMs === undefined
        ? `calls arrive faster than they are answered: ${d.queued} wait${pace}`
        : `the call would miss its deadline: ${d.queued} calls wait${pace}, so it would wait ${formatMs(d.waitMs)} ms and run ${formatMs(d.runMs ?? 0)} ms, and it has ${formatMs(d.leftMs)} ms left`;
    },
    fix: "Retry after retryAfterMs, with backoff. Add replicas, reduce the work of each call, or give callers a longer deadline: see the guide, Load.",
  }),
  lane_waits_for_itself: row<{ name: string; maxConcurrent: number; waitedMs: number }>({
    code: "resource_exhausted",
    httpStatus: 503,
    retryable: false,
    text: (d) =>
      `${d.name} waits for itself: its ${d.maxConcurrent === 1 ? "one slot is" : `${d.maxConcurrent} slots are`} held by calls that read the output of calls in its queue (maxConcurrent ${d.maxConcurrent}; waited ${d.waitedMs} ms)`,
    fix: "Raise maxConcurrent above the number of times that a chain of streams passes the api at once, join the steps into one api, or collect the items of one step before the next begins.",
  }),
  no_ready_replica: row<{ replicas: number; why?: string | undefined }>({
    code: "unavailable",
    text: (d) =>
      d.why === undefined ? `none of its ${d.replicas} replicas is ready` : `it can't be reached: ${d.why}`,
    fix: "Look in the log and /readyz for the reason; retry the call.",
  }),
  replica_lost: row<{ replica: string; why?: string | undefined; isSent?: boolean }>({
    code: "unavailable",
    text: (d) =>
      `replica ${d.replica} was lost ${d.isSent === false ? "before the call was sent" : "while the call was on it"}${d.why === undefined ? "" : `: ${d.why}`}`,
    fix: "Retry the call if running it twice does no harm: it may have run.",
  }),
  draining: row<{ what: string }>({
    code: "unavailable",
    text: (d) => `${d.what} is shutting down and takes no new calls`,
    fix: "Retry against another instance.",
  }),
  injected_failure: row<{ reason: string }>({
    code: "unavailable",
    text: (d) => d.reason,
    fix: "A test asked for this failure with app.fail().",
  }),
};
