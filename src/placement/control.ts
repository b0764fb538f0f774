import type { MessagePort } from "node:worker_threads";
import type { Clock, Timer } from "../base/clock.js";
import type { Logger } from "../base/logger.js";
import type { GrantedResources } from "../define/service.js";
import { messageOf } from "../failure/to-serving-error.js";
import type { EntryLocation } from "../load/entry-location.js";
import type { ServiceReadiness } from "../observe/readiness.js";
import type { AppSettings } from "../options/settings.js";

// Messages between a supervisor and the runtime of replicas in another thread or process. Calls never go this way:
// they use links.

/** Change in the replicas that a caller may call, or in the state of their service. */
export type LinkUpdate =
  | { readonly kind: "add"; readonly service: string; readonly replica: string; readonly address: string }
  | { readonly kind: "add-port"; readonly service: string; readonly replica: string; readonly port: MessagePort }
  /** The replica lives in the runtime of the caller. */
  | { readonly kind: "add-local"; readonly service: string; readonly replica: string }
  | { readonly kind: "remove"; readonly service: string; readonly replica: string }
  /** The replica is about to be killed: calls on it fail with the reason. */
  | { readonly kind: "abandoned"; readonly service: string; readonly replica: string; readonly reason: string }
  /** The service is down: its calls fail at once, until a replica is added. */
  | {
      readonly kind: "failed";
      readonly service: string;
      readonly reason: string;
      readonly attempts: number;
      readonly retryAfterMs: number;
    }
  /** The service drains or has drained: it takes no new call, and no call should wait for it. */
  | { readonly kind: "draining"; readonly service: string }
  | { readonly kind: "planned"; readonly service: string; readonly replicas: number }
  /** No replica of the runtime calls the service any more: its state is dropped. */
  | { readonly kind: "forget"; readonly service: string }
  /** All faults that a test sets now. */
  | { readonly kind: "faults"; readonly faults: readonly object[] };

/** Settings that a thread or process needs before replicas can live in it. */
export interface RuntimeOrder {
  /** Fields of its log lines that are not about one replica: `{ service, replica }` or `{ group, process }`. */
  readonly names: Readonly<Record<string, string | number>>;
  /** Services whose replicas may live in it. */
  readonly services: readonly string[];
  /** Services whose calls stay in this runtime as long as it has a ready replica of them. */
  readonly keptServices: readonly string[];
  /** Id of this thread or process; leases of tasks contain it. */
  readonly life: string;
  /** Identity of the whole app in its task store. */
  readonly run: { readonly id: string; readonly pid: number; readonly session: string };
  /** Ids of threads and processes of the app that have ended. */
  readonly endedLives: readonly string[];
  /** Files that are loaded: the one of the entry service, or in a build those of `services`. */
  readonly entries: readonly EntryLocation[];
  readonly settings: AppSettings;
  /** Folder of the app's service file. */
  readonly appFolder: string;
  /** Folder of the sockets of its replicas. */
  readonly socketFolder: string;
  /** Folder of shared memory for large tensors; `undefined` if the machine has none. */
  readonly slabFolder: string | undefined;
  /** Folder on disk for the largest values; `undefined` if none is writable. */
  readonly diskFolder: string | undefined;
  /** Target of its log lines: its own stdout, or the supervisor. */
  readonly logsTo: "stdout" | "supervisor";
  /** True when several processes write to that stdout. */
  readonly sharesStdout: boolean;
  /** True when a test may inject faults into its calls. */
  readonly takesFaults: boolean;
  /** Inspector to open; `undefined` unless a replica in it is to be debugged. */
  readonly inspect: InspectOrder | undefined;
  /** App file whose plugins a replica that answers HTTP adds. */
  readonly appFile: string | undefined;
}

/** The inspector that a thread or process opens before it loads the author's files. */
export interface InspectOrder {
  /** Port on 127.0.0.1; 0 takes a free one. */
  readonly port: number;
  /** True when the author's files are loaded only after a debugger has attached. */
  readonly waits: boolean;
}

/** Settings of a replica that starts in a loaded runtime. */
export interface ReplicaOrder {
  /** `"Model#0"`. */
  readonly id: string;
  readonly index: number;
  readonly service: string;
  /** Inline callees to start before it, callees first. */
  readonly inlineCallees: readonly string[];
  /** Services elsewhere that it or an inline callee calls. */
  readonly callees: readonly string[];
  readonly resources: GrantedResources;
  /** Resources of its inline callees, by name. */
  readonly inlineCalleeResources: ReadonlyMap<string, GrantedResources>;
  /** Path of the Unix socket that it listens on. */
  readonly address: string;
  /** Path of the Unix socket for callers in other apps; set for a replica in a thread that has such callers. */
  readonly edgeAddress?: string | undefined;
}

/** Questions to a replica, with the types of their answers. */
export interface ControlAnswers {
  ready: boolean;
  pulse: {
    readonly residentBytes: number;
    readonly inFlight: number;
    /** Calls that its thread or process has in flight, by service. */
    readonly callsInFlight?: Readonly<Record<string, number>>;
    /** Tasks of its service that wait for a replica. One replica counts them for all. */
    readonly waitingTasks?: number;
    /** URL at which a debugger can attach, or has attached. Silence then does not mean that it is stuck. */
    readonly inspectorUrl?: string;
    /** Longest recent run of an api that blocked its event loop, in milliseconds. */
    readonly longestRunMs?: number;
    /** Reasons why it can't call its callees; absent if it can. */
    readonly obstacles?: readonly string[];
    /** Apis that answer fewer calls than they get, with the reason. Such a replica is ready. */
    readonly strains?: readonly string[];
    /** Services that run elsewhere and that it calls, as it sees them. */
    readonly remotes?: readonly ServiceReadiness[];
  };
}

/** Questions to a runtime, with the types of their answers. */
export interface RuntimeAnswers {
  /** Metrics in the JSON form of prom-client. */
  metrics: readonly object[];
}

/** Questions of a replica that answers HTTP to its supervisor, with the types of their answers. */
export interface AppAnswers {
  readiness: {
    readonly isReady: boolean;
    readonly isDraining?: boolean;
    readonly services: readonly ServiceReadiness[];
  };
  metrics: { readonly contentType: string; readonly body: string };
}

/** Messages to a runtime. Those with a `replica` are for that one, the others for the runtime. */
export type ToRuntime =
  | { readonly kind: "load"; readonly order: RuntimeOrder }
  | { readonly kind: "start"; readonly order: ReplicaOrder }
  | { readonly kind: "link"; readonly update: LinkUpdate }
  | { readonly kind: "accept"; readonly replica: string; readonly port: MessagePort }
  /** Another thread or process of the app has ended. */
  | { readonly kind: "ended"; readonly life: string }
  /** Sent with the listening socket. */
  | { readonly kind: "listen"; readonly replica: string }
  /** Sent with the connection of a caller in another app, of which no byte was read. */
  | { readonly kind: "connection"; readonly replica: string }
  /** Number of ready replicas of its service in this app. */
  | { readonly kind: "siblings"; readonly replica: string; readonly ready: number }
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
  /** Stops the replicas that are left and ends the thread or process. */
  | { readonly kind: "end" };

/** Words with which a replica answers an order. */
export type ReplicaWord = "started" | "listening" | "connected" | "drained" | "stopped";

export type FromRuntime =
  | { readonly kind: "loaded" }
  | { readonly kind: "load-failed"; readonly error: string }
  | FromReplica
  /** The first run of an api is about to begin and may take long; or no such run is left. */
  | { readonly kind: "warming"; readonly isWarmingUp: boolean }
  | { readonly kind: "ask"; readonly number: number; readonly what: keyof AppAnswers }
  | { readonly kind: "answer"; readonly number: number; readonly value?: unknown; readonly error?: string }
  | {
      readonly kind: "log";
      readonly level: "debug" | "info" | "warn" | "error";
      readonly fields: object;
      readonly message: string | undefined;
    };

/** Messages of one replica. */
export type FromReplica = {
  /** `"Model#0"`. */
  readonly replica: string;
  /**
   * Socket of the replica. It differs from that of an earlier replica of this name, which may still be ending.
   * `undefined` if there is no such replica.
   */
  readonly address: string | undefined;
} & (
  | { readonly kind: "done"; readonly word: ReplicaWord }
  | { readonly kind: "failed"; readonly word: ReplicaWord; readonly error: string }
  /** The rest of its start takes at most `limitMs`, as long as the event loop turns. */
  | { readonly kind: "starting"; readonly limitMs: number }
  | { readonly kind: "replica-answer"; readonly number: number; readonly value?: unknown; readonly error?: string }
);

/** The runtime's end of its control channel. */
export interface ControlPort {
  send(message: FromRuntime): void;
  /** @param receive Called for each message; `handle` is the socket of `listen` or of `connection`. */
  onMessage(receive: (message: ToRuntime, handle: unknown) => void): void;
}

/** Returns the URL of the open inspector of this thread, `"ws://127.0.0.1:9229/…"`; `undefined` if none is open. */
export const inspectorUrl = (): string | undefined => process.getBuiltinModule?.("node:inspector")?.url();

/**
 * Opens the inspector of this thread on 127.0.0.1 and logs its URL. A worker thread has an inspector of its own (Node
 * 20 and later). If the port is taken, a free one is used: the process of an earlier run may still hold it.
 *
 * @param flush Writes the log at once: a thread that waits for a debugger can't do so later.
 */
export function openInspector({ port, waits }: InspectOrder, log: Logger, flush: () => void): void {
  try {
    const inspector = process.getBuiltinModule("node:inspector");
    // One may be open already, by `NODE_OPTIONS`. `open` does not throw when the port is taken.
    for (const wanted of [port, 0]) if (inspector.url() === undefined) inspector.open(wanted, "127.0.0.1");
    const url = inspector.url();
    if (url === undefined) throw new Error("no port can be opened on 127.0.0.1");
    const page = `devtools://devtools/bundled/js_app.html?ws=${url.slice("ws://".length)}`;
    const wait = waits ? "; it waits for a debugger before it loads the service" : "";
    log.info({ inspector: url }, `inspector opened at ${url}: attach an editor, or open ${page} in Chrome${wait}`);
    flush();
    if (waits) inspector.waitForDebugger();
  } catch (error) {
    // Node was built without an inspector, or forbids it (`--permission`).
    log.warn({ err: error }, `inspector not opened: ${messageOf(error)}`);
  }
}

/** Closes the inspector of this thread, with its connections: Node does not exit while a debugger is attached. */
export function closeInspector(): void {
  if (inspectorUrl() !== undefined) process.getBuiltinModule("node:inspector").close();
}

interface Question {
  resolve(value: unknown): void;
  reject(error: Error): void;
  readonly timer: Timer | undefined;
}

/** Answer to a question, as a control channel carries it. */
export interface ControlAnswer {
  readonly number: number;
  readonly value?: unknown;
  readonly error?: string;
}

/** Sends questions over a control channel and matches the answers, each within a time limit. */
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

  /**
   * Asks a question.
   *
   * @throws {Error} When the other side fails, ends, or does not answer within `limitMs`; `Infinity` is no limit.
   */
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

  /** Fails all open and later questions: the other side is gone. */
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
