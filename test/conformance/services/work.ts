import { randomUUID } from "node:crypto";
import { threadId } from "node:worker_threads";
import { api, type CurrentCall, currentCall, Service, ServingError, type StartContext } from "ekiben";
import { z } from "zod";
import { createCount, createNote, createSeen, Journal } from "./journal.js";

const name = { input: z.string(), output: z.string() };

/** Properties of a call that an api can see, as plain data. */
export interface SeenCall {
  readonly caller: { readonly service: string; readonly api: string };
  readonly requestId: string;
  readonly traceId: string;
  readonly traceparent: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly deadline: number;
  readonly remainingMs: number;
}

export function readCall(call: CurrentCall = currentCall()): SeenCall {
  const { caller, requestId, trace, headers, deadline, remainingMs } = call;
  const { traceId, traceparent } = trace;
  const { service, api } = caller;
  return { caller: { service, api }, requestId, traceId, traceparent, headers: { ...headers }, deadline, remainingMs };
}

/** Thread and process that code runs in. */
const readPlace = () => ({ pid: process.pid, threadId });

/** Holds calls until it is asked to release them, and reports what it sees of them. */
export class Work extends Service() {
  readonly #journal = new Journal();
  readonly #starts: string[] = [];
  #instance = "";
  #bumped = 0;
  #outside = "";

  override start({ replica, resources }: StartContext): void {
    this.#instance = randomUUID();
    this.#starts.push(`Work started as ${replica.id}, at ${replica.index}, with ${resources.cpuThreads} threads`);
    try {
      currentCall();
    } catch (error) {
      this.#outside = error instanceof ServingError ? error.id : String(error);
    }
  }

  seen = createSeen(this.#journal);
  count = createCount(this.#journal);
  note = createNote(this.#journal);

  hold = api(name, (call) => this.#journal.hold(call));
  stubborn = api(name, (call) => this.#journal.hold(call, true));
  brief = api({ ...name, timeoutMs: 150 }, (call) => this.#journal.hold(call));
  narrow = api({ ...name, maxConcurrent: 1, maxQueued: 1 }, (call) => this.#journal.hold(call));
  wide = api({ ...name, maxConcurrent: 1, maxQueued: 50 }, (call) => this.#journal.hold(call));
  crowded = api({ ...name, maxConcurrent: 1 }, (call) => this.#journal.hold(call));
  deaf = api({ ...name, maxConcurrent: 1 }, (call) => this.#journal.hold(call, true));

  upper = api(name, (text) => {
    this.#journal.note(`upper ${text}`);
    return text.toUpperCase();
  });
  call = api({ output: z.any() }, () => readCall());
  priority = api({ output: z.string() }, () => currentCall().priority);
  callLater = api({ output: z.any() }, () => readLater());
  callOnce = api({ input: z.number(), output: z.any() }, async (n) => {
    await new Promise((resolve) => setImmediate(resolve));
    return { n, requestId: currentCall().requestId };
  });
  outside = api({ output: z.string() }, () => this.#outside);
  /** Returns the reason of the aborted signal, as the callee sees it. */
  reason = api(name, async (call) => {
    const { signal } = currentCall();
    this.#journal.note(`${call} begun`);
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    const { reason } = signal;
    const what = reason instanceof ServingError ? `ServingError ${reason.code}` : String(reason);
    this.#journal.note(`${call} saw ${what}`);
    return what;
  });

  place = api({ output: z.any() }, readPlace);
  instance = api({ output: z.string() }, () => this.#instance);
  bump = api({ output: z.number() }, () => ++this.#bumped);
  /** Reports the caller; used in start hooks of callers. */
  noteStart = api(name, (service) => {
    const { caller } = currentCall();
    this.#starts.push(`${service} started, calling as ${caller.service}.${caller.api}`);
    return service;
  });
  starts = api({ output: z.array(z.string()) }, () => this.#starts);
}

/** Returns the request id after each way of running code later. */
async function readLater(): Promise<Record<string, SeenCall>> {
  const seen: Record<string, SeenCall> = { "at once": readCall() };
  const later = (way: string, schedule: (run: () => void) => void) =>
    new Promise<void>((resolve) => {
      schedule(() => {
        seen[way] = readCall();
        resolve();
      });
    });
  await Promise.resolve();
  seen["after an await"] = readCall();
  await later("in a timer", (run) => setTimeout(run, 0));
  await later("in setImmediate", (run) => setImmediate(run));
  await later("in nextTick", (run) => process.nextTick(run));
  await later("in a microtask", (run) => queueMicrotask(run));
  seen["after them all"] = readCall();
  return seen;
}
