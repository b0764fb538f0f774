import { createDeferred, type Timer } from "../../base/clock.js";
import type { Logger } from "../../base/logger.js";
import { GrowingPause } from "../../base/repeat-pace.js";
import { type Call, type Caller, type Priority, RequestContext } from "../../call/call.js";
import { CallScope, type CallTime, type ReplySink } from "../../call/call-scope.js";
import type { ApiTarget } from "../../call/invoke.js";
import { nameOption } from "../../call/passed-deadline.js";
import type { Schedule } from "../../define/schedule.js";
import { fail } from "../../failure/failures.js";
import { readNumber } from "../../failure/read-thrown.js";
import type { Code, ServingError } from "../../failure/serving-error.js";
import { toServingError } from "../../failure/to-serving-error.js";
import type { AttemptOutcome, CallStats, TaskStats } from "../../observe/call-stats.js";
import type { ApiSettings } from "../../options/settings.js";
import type { ClaimedTask, TaskOutcome, TaskStore } from "../../tasks/task-store.js";
import { packValue, unpackValue } from "../../transport/stored-value.js";
import { crossError, decodeError, encodeError } from "../../transport/wire-error.js";
import { LeaseKeeper } from "./lease-keeper.js";

// One attempt of one task, from its claim until its end is recorded.
//
// RA1  Its lease is renewed until its end is recorded, however long the store is out of reach.
// RA2  Its end is decided once: by the author's code, its time limit, a cancellation, the loss of its lease, or a stop.
//      Code that runs on after that keeps its lane slot, and its output is dropped.
// RA3  An attempt that has lost its lease records nothing.
// RA4  A task whose stored input is refused, so that its code did not run, is held; the attempt does not count.

/** Part of a replica that its durable tasks need. */
export interface TaskHost {
  /** `"Model#0"`. */
  readonly id: string;
  readonly service: string;
  readonly index: number;
  readonly log: Logger;
  readonly time: CallTime;
  readonly stats: CallStats;
}

/** One task api of a service, as its replica runs it. */
export interface HostedTask {
  readonly name: string;
  readonly settings: ApiSettings;
  readonly checkInput: ApiTarget["checkInput"];
  /** Digest of the contract, as `digestContract` makes it. */
  readonly contract: string;
  /** Planned times at which it is submitted by itself, and the input of these runs. */
  readonly schedule?: Schedule;
  readonly scheduleInput?: unknown;
  /** Returns how many more attempts may begin at once. */
  readonly countFreeSlots: () => number;
  /**
   * Runs one attempt in the lane of the task, by the same steps as any call. Ends the scope; never throws. An input
   * that does not fit fails with `task_input_refused`.
   *
   * @param reply Gets the output or the failure once the author's code has ended, also when the attempt has ended
   *   before.
   */
  readonly serve: (scope: CallScope, input: unknown, reply: ReplySink) => void;
}

/** Parts that all attempts of one task api share. */
export interface AttemptDeps {
  readonly host: TaskHost;
  readonly task: HostedTask;
  readonly store: TaskStore;
  readonly namespace: string;
  /** Life of the thread or process that runs the attempt. */
  readonly life: string;
  readonly leaseMs: number;
  readonly stats: TaskStats;
  /** Called when the author's code has ended, so that its lane slot is free. */
  readonly onSlotFree: () => void;
}

/** End of an attempt, before it is recorded. */
type Ending =
  | { readonly kind: "output"; readonly bytes: Uint8Array }
  | { readonly kind: "failure"; readonly error: ServingError }
  | { readonly kind: "canceled" | "stopped" | "lost"; readonly error: ServingError };

/** Pauses between attempts to record an end while the store does not take it. */
const firstPauseMs = 100;
const maxPauseMs = 5_000;
/** Most tries to store an output while the store is full; after them the task fails with `task_store_full`. */
const maxFullTries = 20;

export class TaskAttempt {
  readonly id: string;
  /** Resolves when the end is recorded, or can no longer be recorded. Never rejects. */
  readonly recorded: Promise<void>;
  readonly #deps: AttemptDeps;
  readonly #claimed: ClaimedTask;
  readonly #ending = createDeferred<Ending>();
  readonly #lease: LeaseKeeper;
  readonly #startedAt: number;
  #scope: CallScope | undefined;
  #pause: { readonly timer: Timer; readonly wake: () => void } | undefined;
  #isGivenUp = false;

  constructor(claimed: ClaimedTask, deps: AttemptDeps) {
    this.id = claimed.record.id;
    this.#deps = deps;
    this.#claimed = claimed;
    const { time, log } = deps.host;
    this.#startedAt = time.clock.now();
    this.#lease = new LeaseKeeper({
      store: deps.store,
      lease: claimed.lease,
      leaseMs: deps.leaseMs,
      clock: time.clock,
      log,
      onCancel: () => this.cancel(),
      onLost: () => this.#end({ kind: "lost", error: fail("task_lease_lost", { taskId: this.id }) }),
    });
    deps.stats.running++;
    this.recorded = this.#run();
  }

  /** Ends the attempt because the task was asked to end. */
  cancel(): void {
    this.#end({ kind: "canceled", error: fail("task_canceled", { taskId: this.id }) });
  }

  /**
   * Gives the task back unfinished, since its replica stops. Resolves when that is stored, or the store is out of
   * reach.
   */
  async giveBack(): Promise<void> {
    this.#end({ kind: "stopped", error: fail("draining", { what: `replica ${this.#deps.host.id}` }) });
    this.#isGivenUp = true;
    this.#pause?.wake();
    await this.recorded;
  }

  /** Handles news of the task. */
  look(): void {
    this.#lease.look();
  }

  async #run(): Promise<void> {
    this.#lease.start();
    this.#serve();
    const ending = await this.#ending.promise;
    // Aborts the signal of the author's code, which may still run.
    if (ending.kind !== "output" && ending.kind !== "failure") this.#scope?.cancel(ending.error);
    const outcome = await this.#record(ending);
    this.#lease.stop();
    const { stats, host } = this.#deps;
    stats.running--;
    stats.record(outcome, host.time.clock.now() - this.#startedAt);
  }

  #serve(): void {
    const { host, task, onSlotFree } = this.#deps;
    const { time } = host;
    let call: Call;
    let input: unknown;
    try {
      call = this.#createCall(time.clock.now());
      input = unpackValue(this.#claimed.input);
    } catch (error) {
      this.#end({ kind: "failure", error: this.#place(error) });
      onSlotFree();
      return;
    }
    const own = { ...time, nameLimit: () => nameOption(host.service, task.name, task.settings.timeoutFrom) };
    const scope = new CallScope(call, undefined, own, time.clock.now());
    this.#scope = scope;
    scope.runBy({ log: host.log, onProgress: (progress) => this.#lease.report(progress) });
    scope.endResponse("a task runs apart from the request that submitted it");
    scope.awaitReply({
      output: (value) => this.#pack(value),
      // A copy: the failure is recorded later, and its author may change it until then.
      failure: (error) => this.#end({ kind: "failure", error: crossError(error) }),
    });
    const reply = {
      output: (output: unknown) => {
        scope.reply(output);
        onSlotFree();
      },
      failure: (error: ServingError) => {
        scope.replyFailure(error);
        onSlotFree();
      },
    };
    task.serve(scope, input, reply);
  }

  /** Creates the call. It counts as a call from outside: it is checked, and no other code shares its values. */
  #createCall(now: number): Call {
    const { host, task } = this.#deps;
    const context = parseTaskContext(this.#claimed.context);
    return {
      service: host.service,
      api: task.name,
      ...context,
      outside: true,
      deadline: now + task.settings.timeoutMs,
    };
  }

  #pack(value: unknown): void {
    const refuse = (error: unknown) => this.#end({ kind: "failure", error: this.#place(error) });
    try {
      const bytes = packValue(value, "output");
      if (bytes instanceof Promise) bytes.then((read) => this.#end({ kind: "output", bytes: read }), refuse);
      else this.#end({ kind: "output", bytes });
    } catch (error) {
      refuse(error);
    }
  }

  #end(ending: Ending): void {
    this.#ending.resolve(ending);
  }

  async #record(ending: Ending): Promise<AttemptOutcome> {
    if (ending.kind === "lost") return "lost";
    await this.#lease.flush();
    const pause = new GrowingPause(firstPauseMs, maxPauseMs);
    for (let tries = 1; ; tries++) {
      if (this.#lease.isLost) return "lost";
      try {
        return await this.#write(ending);
      } catch (error) {
        const failure = this.#place(error);
        if (this.#isGivenUp && (tries > 1 || ending.kind !== "stopped")) return "lost";
        if (failure.id === "task_store_full" && tries >= maxFullTries)
          return this.#record({ kind: "failure", error: failure });
        const fields = { err: failure, task: this.id, tries };
        this.#deps.host.log.warn(fields, "the end of a task could not be recorded; trying again");
      }
      await this.#wait(pause.begin());
    }
  }

  async #write(ending: Ending): Promise<AttemptOutcome> {
    const { store } = this.#deps;
    const { lease } = this.#claimed;
    switch (ending.kind) {
      case "output":
        return this.#finish({ status: "completed", output: ending.bytes });
      case "canceled":
        return this.#finish({ status: "canceled", failure: encodeError(this.#place(ending.error)) });
      case "stopped":
        return (await store.giveBack(lease, 0, undefined)) ? "given_back" : "lost";
      case "lost":
        return "lost";
      case "failure":
        return this.#writeFailure(ending.error);
    }
  }

  async #writeFailure(error: ServingError): Promise<AttemptOutcome> {
    if (this.#isRefusal(error)) return this.#hold(error);
    const { attempts, idempotent, retryBackoffMs } = this.#deps.task.settings;
    const { attempt } = this.#claimed.record;
    const waitMs = decideRetry(
      { error, attempt, attempts, isIdempotent: idempotent, backoffMs: retryBackoffMs },
      Math.random(),
    );
    const failure = encodeError(error);
    if (waitMs === undefined) return this.#finish({ status: "failed", failure });
    return (await this.#deps.store.giveBack(this.#claimed.lease, waitMs, failure)) ? "retried" : "lost";
  }

  /** True for a failure of this attempt before the author's code. That code may get the same from another task. */
  #isRefusal({ id, service, api }: ServingError): boolean {
    const { host, task } = this.#deps;
    return refusals.includes(id) && service === host.service && api === task.name;
  }

  async #hold(error: ServingError): Promise<AttemptOutcome> {
    const { store, stats, host, task } = this.#deps;
    if (!(await store.hold(this.#claimed.lease, encodeError(error), task.contract))) return "lost";
    const fields = { task: this.id, api: task.name, problem: error.message };
    const message = "a task is held: its stored input does not fit the contract of this version";
    // There may be thousands; the census tells how many.
    if (stats.byOutcome.has("held")) host.log.debug(fields, message);
    else host.log.warn(fields, message);
    return "held";
  }

  async #finish(outcome: TaskOutcome): Promise<AttemptOutcome> {
    return (await this.#deps.store.finish(this.#claimed.lease, outcome)) ? outcome.status : "lost";
  }

  /** Converts an error into a failure that names the service and api of the task. */
  #place(error: unknown): ServingError {
    return toServingError(error, this.#deps.host.service, this.#deps.task.name);
  }

  #wait(ms: number): Promise<void> {
    const { clock } = this.#deps.host.time;
    return new Promise((resolve) => {
      const wake = () => {
        this.#pause?.timer.clear();
        this.#pause = undefined;
        resolve();
      };
      this.#pause = { timer: clock.setTimer(wake, ms, true), wake };
    });
  }
}

/** Failures with which a task is held: this version can't read its stored input, or does not take it. */
const refusals: readonly string[] = ["task_input_refused", "stored_value_newer"];

/** Decodes the failure that an attempt has recorded. */
export const readTaskFailure = (text: string | undefined): ServingError | undefined =>
  text === undefined ? undefined : decodeError(text);

/** Codes of failures with which another attempt would fail too. */
const lastingCodes: ReadonlySet<Code> = new Set<Code>([
  ...(["invalid_argument", "not_found", "already_exists", "permission_denied", "failed_precondition"] as const),
  ...(["out_of_range", "unimplemented", "unauthenticated"] as const),
]);

const maxBackoffMs = 5 * 60_000;

/** Facts about a failed attempt. */
export interface FailedAttempt {
  readonly error: ServingError;
  /** Number of the attempt, from 1. */
  readonly attempt: number;
  readonly attempts: number;
  readonly isIdempotent: boolean;
  readonly backoffMs: number;
}

/**
 * Decides whether a failed task runs again. @returns The wait in milliseconds; `undefined` when it does not.
 *
 * It runs again if it is idempotent, attempts are left, and another attempt may succeed: a failure caused by the input
 * itself is final. The wait doubles with each attempt, up to five minutes, and is never shorter than the failure asks
 * for.
 *
 * @param random 0 to 1; up to a quarter is added, so that tasks which failed together do not come back together.
 */
export function decideRetry(
  { error, attempt, attempts, isIdempotent, backoffMs }: FailedAttempt,
  random: number,
): number | undefined {
  if (!isIdempotent || attempt >= attempts || lastingCodes.has(error.code)) return undefined;
  const doubled = Math.min(maxBackoffMs, backoffMs * 2 ** (attempt - 1));
  const asked = readNumber(error.details, "retryAfterMs") ?? 0;
  return Math.round(Math.max(doubled * (1 + random / 4), asked > 0 ? Math.min(asked, maxBackoffMs) : 0));
}

/** Context of the request that submitted a task, as its api sees it whenever it runs. */
interface TaskContext {
  readonly caller: Caller;
  readonly request: RequestContext;
  readonly priority: Priority;
}

/**
 * Formats the context that is stored beside the input of a task.
 *
 * @param keep Headers of the request to store, in lower case. The others may hold passwords and are left out: a store
 *   is read by more people than a request is, and keeps it for a week.
 */
export const formatTaskContext = ({ caller, request, priority }: TaskContext, keep: readonly string[]): string =>
  JSON.stringify([caller.service, caller.api, request.textWith(keep), priority]);

/** Parses a stored context. An unreadable one becomes an anonymous request without headers, as in `RequestContext`. */
function parseTaskContext(text: string): TaskContext {
  const [service, api, request, priority] = parseTexts(text);
  return {
    caller: { service: service ?? "", api: api ?? "" },
    request: request === undefined ? new RequestContext() : RequestContext.fromWire(request),
    priority: priority === "background" ? priority : "interactive",
  };
}

function parseTexts(text: string): readonly (string | undefined)[] {
  try {
    const parts: unknown = JSON.parse(text);
    return Array.isArray(parts) && parts.every((part) => typeof part === "string") ? parts : [];
  } catch {
    return [];
  }
}
