import type { MessagePort } from "node:worker_threads";
import type { Clock, Timer } from "../base/clock.js";
import type { GrantedResources } from "../define/service.js";
import { messageOf } from "../failure/to-serving-error.js";
import type { EntryLocation } from "../load/entry-location.js";
import type { ServiceReadiness } from "../observe/readiness.js";
import type { AppSettings } from "../options/settings.js";

// What a supervisor and the site of replicas, another thread or process, tell each other. Never a call: those go over links.

/** Where a replica of a callee can be reached, or that it can't any more. */
export type LinkUpdate =
  | { readonly kind: "add"; readonly service: string; readonly replica: string; readonly address: string }
  | { readonly kind: "add-port"; readonly service: string; readonly replica: string; readonly port: MessagePort }
  /** It lives where the caller does. */
  | { readonly kind: "add-local"; readonly service: string; readonly replica: string }
  | { readonly kind: "remove"; readonly service: string; readonly replica: string }
  /** It is about to be killed: calls on it fail with the reason. */
  | { readonly kind: "abandoned"; readonly service: string; readonly replica: string; readonly reason: string }
  /** Every replica of the service is down, and is started again only slowly. Holds until one is added. */
  | {
      readonly kind: "failed";
      readonly service: string;
      readonly reason: string;
      readonly attempts: number;
      readonly retryAfterMs: number;
    }
  /** The service has drained, or is about to: it takes no new call, and none should wait for it. */
  | { readonly kind: "draining"; readonly service: string }
  | { readonly kind: "planned"; readonly service: string; readonly replicas: number }
  /** Nobody there calls the service any more: what is known of it is forgotten. */
  | { readonly kind: "forget"; readonly service: string }
  /** Every fault a test asks for now. */
  | { readonly kind: "faults"; readonly faults: readonly object[] };

/** Everything a thread or process needs to know before replicas can live in it. */
export interface RuntimeOrder {
  /** What names it in the log where a line is about no single replica: `{ service, replica }` or `{ group, process }`. */
  readonly names: Readonly<Record<string, string | number>>;
  /** Services whose replicas may live in it. */
  readonly services: readonly string[];
  /** Those of them that are called in this site as long as it has a ready replica of theirs. */
  readonly keptServices: readonly string[];
  /** Unique to this thread or process: leases of tasks name it. */
  readonly life: string;
  /** The app as a whole, as others in its store of tasks see it. */
  readonly run: { readonly id: string; readonly pid: number; readonly session: string };
  /** Of others of the app that have ended. */
  readonly endedLives: readonly string[];
  readonly entry: EntryLocation;
  readonly settings: AppSettings;
  /** Folder of the app's service file. */
  readonly appFolder: string;
  /** Where the sockets of its replicas are. */
  readonly socketFolder: string;
  /** Where large tensors cross in memory; absent where the machine has no such place. */
  readonly slabFolder: string | undefined;
  /** Where the largest lie on a disk; absent where nothing can be written. */
  readonly diskFolder: string | undefined;
  /** Lines go to stdout by themselves, or to the supervisor. */
  readonly logsTo: "stdout" | "supervisor";
  /** Several processes write to that stdout. */
  readonly sharesStdout: boolean;
  /** Whether a test may ask for faults in its calls. */
  readonly takesFaults: boolean;
  /** For a replica that answers HTTP: the app file whose plugins it adds. */
  readonly appFile: string | undefined;
}

/** Everything a replica needs to know to become one, in a site that has loaded. */
export interface ReplicaOrder {
  /** `"Model#0"`. */
  readonly id: string;
  readonly index: number;
  readonly service: string;
  /** Inline services it needs beside it, callees first. */
  readonly inlineCallees: readonly string[];
  /** Services in another place that it or an inline callee calls. */
  readonly callees: readonly string[];
  readonly resources: GrantedResources;
  /** Of its inline callees, by name. */
  readonly inlineCalleeResources: ReadonlyMap<string, GrantedResources>;
  /** The Unix socket it is to listen on. */
  readonly address: string;
}

/** What may be asked of a replica, and the answers. */
export interface ControlAnswers {
  ready: boolean;
  pulse: {
    readonly residentBytes: number;
    readonly inFlight: number;
    /** Calls that its thread or process has in flight, by service. */
    readonly callsInFlight?: Readonly<Record<string, number>>;
    /** Tasks of its service that wait for a replica; one of them says so for all. */
    readonly waitingTasks?: number;
    /** Where a debugger can attach to it, or has; its silence is then no sign that it is stuck. */
    readonly inspectorUrl?: string;
    /** The longest time of late for which a run of an api kept its event loop from turning; in milliseconds. */
    readonly longestRunMs?: number;
    /** Why it can't call what it depends on, where it can't. */
    readonly obstacles?: readonly string[];
    /** Which apis answer less than is asked of them, and why; of a replica that is ready all the same. */
    readonly strains?: readonly string[];
  };
}

/** What may be asked of a site. */
export interface RuntimeAnswers {
  /** Metrics as prom-client gives them as JSON. */
  metrics: readonly object[];
}

/** What a replica that answers HTTP asks of its supervisor. */
export interface AppAnswers {
  readiness: {
    readonly isReady: boolean;
    readonly isDraining?: boolean;
    readonly services: readonly ServiceReadiness[];
  };
  metrics: { readonly contentType: string; readonly body: string };
}

/** Of one replica where it has `replica`, else of the site as a whole. */
export type ToRuntime =
  | { readonly kind: "load"; readonly order: RuntimeOrder }
  | { readonly kind: "start"; readonly order: ReplicaOrder }
  | { readonly kind: "link"; readonly update: LinkUpdate }
  | { readonly kind: "accept"; readonly replica: string; readonly port: MessagePort }
  /** Another thread or process of the app has ended. */
  | { readonly kind: "ended"; readonly life: string }
  /** Comes with the listening socket. */
  | { readonly kind: "listen"; readonly replica: string }
  | { readonly kind: "ask"; readonly number: number; readonly what: keyof RuntimeAnswers }
  | {
      readonly kind: "ask-replica";
      readonly replica: string;
      readonly number: number;
      readonly what: keyof ControlAnswers;
    }
  | { readonly kind: "answer"; readonly number: number; readonly value?: unknown; readonly error?: string }
  | { readonly kind: "drain"; readonly replica: string; readonly limitMs: number }
  | { readonly kind: "stop"; readonly replica: string }
  /** Stops what is left, and ends the thread or process. */
  | { readonly kind: "end" };

/** What a replica says in answer to the order of the same name. */
export type ReplicaWord = "started" | "listening" | "drained" | "stopped";

export type FromRuntime =
  | { readonly kind: "loaded" }
  | { readonly kind: "load-failed"; readonly error: string }
  | FromReplica
  /** The first run of an api is about to begin, and may last; or no such run is left. */
  | { readonly kind: "warming"; readonly isWarmingUp: boolean }
  | { readonly kind: "ask"; readonly number: number; readonly what: keyof AppAnswers }
  | { readonly kind: "answer"; readonly number: number; readonly value?: unknown; readonly error?: string }
  | {
      readonly kind: "log";
      readonly level: "debug" | "info" | "warn" | "error";
      readonly fields: object;
      readonly message: string | undefined;
    };

/** What one replica of a site says. */
export type FromReplica = {
  /** `"Model#0"`. */
  readonly replica: string;
  /** Its socket tells it from an earlier one of its name, which may still be ending. Absent where there is no such replica. */
  readonly address: string | undefined;
} & (
  | { readonly kind: "done"; readonly word: ReplicaWord }
  | { readonly kind: "failed"; readonly word: ReplicaWord; readonly error: string }
  /** What is left of its start ends within `limitMs` as long as the event loop turns. */
  | { readonly kind: "starting"; readonly limitMs: number }
  | { readonly kind: "replica-answer"; readonly number: number; readonly value?: unknown; readonly error?: string }
);

/** A site's end of its control channel. */
export interface ControlPort {
  send(message: FromRuntime): void;
  /** @param handle The listening socket that comes with `listen`. */
  onMessage(receive: (message: ToRuntime, handle: unknown) => void): void;
}

/** Where a debugger can attach to this process, or has: `"ws://127.0.0.1:9229/…"`. Absent in a thread, which has none of its own. */
export const inspectorUrl = (): string | undefined => process.getBuiltinModule?.("node:inspector")?.url();

interface Question {
  resolve(value: unknown): void;
  reject(error: Error): void;
  readonly timer: Timer | undefined;
}

/** An answer as it comes over a control channel. */
export interface ControlAnswer {
  readonly number: number;
  readonly value?: unknown;
  readonly error?: string;
}

/** Questions over a control channel and their answers, each bounded in time. */
export class ControlRequests<Answers> {
  readonly #clock: Clock;
  readonly #send: (number: number, what: keyof Answers) => void;
  readonly #open = new Map<number, Question>();
  #last = 0;
  #failure: Error | undefined;

  constructor(clock: Clock, send: (number: number, what: keyof Answers) => void) {
    this.#clock = clock;
    this.#send = send;
  }

  /** @throws {Error} when the other side fails, ends, or does not answer within `limitMs`; `Infinity` is no limit. */
  ask<What extends keyof Answers>(what: What, limitMs: number): Promise<Answers[What]> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const number = ++this.#last;
    return new Promise((resolve, reject) => {
      const expire = () => {
        this.#open.delete(number);
        reject(new Error(`no answer within ${limitMs} ms`));
      };
      const timer = Number.isFinite(limitMs) ? this.#clock.setTimer(expire, limitMs) : undefined;
      this.#open.set(number, { resolve: resolve as (value: unknown) => void, reject, timer });
      this.#send(number, what);
    });
  }

  receive({ number, value, error }: ControlAnswer): void {
    const question = this.#open.get(number);
    if (question === undefined) return;
    this.#open.delete(number);
    question.timer?.clear();
    if (error === undefined) question.resolve(value);
    else question.reject(new Error(error));
  }

  /** The other side is gone: what was asked fails, and what will be. */
  fail(error: unknown): void {
    const failure = error instanceof Error ? error : new Error(messageOf(error));
    this.#failure = failure;
    const questions = [...this.#open.values()];
    this.#open.clear();
    for (const { timer, reject } of questions) {
      timer?.clear();
      reject(failure);
    }
  }
}
