import type { Socket } from "node:net";
import { dirname } from "node:path";
import type { Logger } from "../base/logger.js";
import { removePath } from "../base/own-folder.js";
import { systemTime } from "../call/call-scope.js";
import { fail } from "../failure/failures.js";
import { textOf } from "../failure/read-thrown.js";
import { toServingError } from "../failure/to-serving-error.js";
import { type Graph, joinGraphs, resolveGraph } from "../graph/graph.js";
import { decodedBytes } from "../held/held-bytes.js";
import { loadEntry } from "../load/entry-location.js";
import { shareStdout } from "../observe/line-writer.js";
import { createLog, guardLog, type LogOutput } from "../observe/log.js";
import {
  type AppAnswers,
  type ControlPort,
  ControlRequests,
  closeInspector,
  type FromRuntime,
  openInspector,
  type ReplicaOrder,
  type ReplicaWord,
  type RuntimeOrder,
  type ToRuntime,
} from "../placement/control.js";
import { encodeError } from "../transport/wire-error.js";
import { watchBackground } from "./background-failures.js";
import type { Faults } from "./faults.js";
import { HostedReplica, InlineCallees } from "./hosted-replica.js";
import { Runtime } from "./runtime.js";

// A thread or process with one or several replicas. It carries out the orders of its supervisor: it loads the author's
// files once; each replica starts, perhaps listens, then drains and stops, independently of the others.
//
// MR1  Inline callees start before the replicas that need them and stop after them.
// MR2  Each order gets one answer: its own word or a failure.
// MR3  A replica for which its supervisor has stopped waiting may still run when another of its name starts. The state
//      and the messages of one are never taken for the other's; the address of the socket tells them apart.

/** Longest wait for the supervisor's answer to a question about the whole app. */
const appLimitMs = 3_000;

export class RuntimeMain {
  readonly #port: ControlPort;
  readonly #exit: () => void;
  readonly #requests: ControlRequests<AppAnswers>;
  readonly #replicas = new Map<string, HostedReplica>();
  #order: RuntimeOrder | undefined;
  #loaded: Loaded | undefined;

  constructor(port: ControlPort, exit: () => void) {
    this.#port = port;
    this.#exit = exit;
    this.#requests = new ControlRequests(systemTime.clock, (number, what) => port.send({ kind: "ask", number, what }));
    systemTime.turns.onFirstRuns = (isWarmingUp) => port.send({ kind: "warming", isWarmingUp });
    port.onMessage((message, handle) => this.#receive(message, handle));
  }

  /** Removes the folders of the app. For use when the supervisor is gone. */
  removeFolders(): void {
    if (this.#order === undefined) return;
    const { socketFolder, slabFolder } = this.#order;
    const sockets = [...this.#replicas.values()].map(({ order }) => dirname(order.address));
    for (const folder of new Set([socketFolder, ...sockets, slabFolder])) if (folder !== undefined) removePath(folder);
  }

  #receive(message: ToRuntime, handle: unknown): void {
    switch (message.kind) {
      case "load":
        this.#load(message.order).then(
          () => this.#port.send({ kind: "loaded" }),
          (error: unknown) =>
            this.#port.send({ kind: "load-failed", error: encodeError(toServingError(error, "", "")) }),
        );
        return;
      case "start":
        this.#answer(message.order.id, "started", () => this.#start(message.order), message.order.address);
        return;
      case "link":
        this.#loaded?.runtime.links.apply(message.update);
        return;
      case "ended":
        this.#loaded?.runtime.tasks.endedLives.note(message.life);
        return;
      case "accept":
        this.#replicas.get(message.replica)?.host.accept(message.port);
        return;
      case "listen":
        this.#answer(message.replica, "listening", () => this.#replica(message.replica).listen(handle));
        return;
      case "connection":
        this.#answer(message.replica, "connected", () => this.#connect(message.replica, handle as Socket | undefined));
        return;
      case "siblings":
        this.#replicas.get(message.replica)?.host.noteSiblings(message.ready);
        return;
      case "ask":
        this.#reply({ kind: "answer", number: message.number }, () => this.#requireLoaded().runtime.metrics.readJson());
        return;
      case "ask-replica":
        this.#replyFor(message);
        return;
      case "answer":
        this.#requests.receive(message);
        return;
      case "drain":
        this.#answer(message.replica, "drained", () => this.#replica(message.replica).drain(message.limitMs));
        return;
      case "stop":
        this.#answer(message.replica, "stopped", () => this.#stop(message.replica));
        return;
      case "end":
        void this.#end().finally(this.#exit);
    }
  }

  #answer(replica: string, word: ReplicaWord, step: () => Promise<void>, address = this.#addressOf(replica)): void {
    const service = replica.slice(0, replica.lastIndexOf("#"));
    const own = { replica, address, word };
    promise(step).then(
      () => this.#port.send({ kind: "done", ...own }),
      (error: unknown) => {
        this.#port.send({ kind: "failed", ...own, error: encodeError(toServingError(error, service, "")) });
      },
    );
  }

  #addressOf(replica: string): string | undefined {
    return this.#replicas.get(replica)?.order.address;
  }

  #replyFor({ replica, number, what }: ToRuntime & { kind: "ask-replica" }): void {
    this.#reply({ kind: "replica-answer", replica, address: this.#addressOf(replica), number }, async () => {
      const own = this.#replica(replica);
      return what === "ready" ? await own.isReady() : own.readPulse();
    });
  }

  #reply(to: Reply, read: () => Promise<unknown>): void {
    promise(read).then(
      (value) => this.#port.send({ ...to, value }),
      (error: unknown) => this.#port.send({ ...to, error: String(error) }),
    );
  }

  async #load(order: RuntimeOrder): Promise<void> {
    this.#order = order;
    const { log, flush } = openLog(order, this.#port);
    if (order.inspect !== undefined) openInspector(order.inspect, log.child(order.names), flush);
    // Never ended, so that a rejection while the process or thread stops does not cut the stop short.
    watchBackground({ log: log.child(order.names), ownsProcess: true });
    const graphs: Graph[] = [];
    for (const entry of order.entries) graphs.push(resolveGraph(await loadEntry(entry)));
    const graph = joinGraphs(graphs);
    for (const service of order.services) {
      if (graph.services.has(service)) continue;
      const known = [...graph.services.keys()];
      throw fail("unknown_service", { service, file: order.entries[0]?.file ?? "", known }, { service });
    }
    const { settings, names, appFolder, life, endedLives, run, slabFolder } = order;
    const runtime = new Runtime({
      graph,
      settings,
      log,
      names,
      time: systemTime,
      appFolder,
      life,
      endedLives,
      run,
      slabFolder,
      findDisk: () => order.diskFolder,
      local: { find: (replica) => this.#replicas.get(replica)?.host.link, isPreferred: true },
      faults: order.takesFaults ? await createFaults() : undefined,
    });
    const { service = names["group"] } = names;
    runtime.stats.decoded = { service: String(service), bytes: () => decodedBytes.count };
    for (const kept of order.keptServices) runtime.directory.of(kept).keepsLocal = true;
    this.#loaded = { runtime, flush, inlineCallees: new InlineCallees(runtime) };
  }

  async #start(order: ReplicaOrder): Promise<void> {
    const replica = new HostedReplica(order, {
      ...this.#requireLoaded(),
      runtimeOrder: this.#order as RuntimeOrder,
      ask: (what) => this.#requests.ask(what, appLimitMs),
      onStarting: (limitMs) =>
        this.#port.send({ kind: "starting", replica: order.id, address: order.address, limitMs }),
    });
    this.#replicas.set(order.id, replica);
    await replica.start();
  }

  /** @param socket Connection of a caller in another app; absent for one that has ended on the way here. */
  async #connect(id: string, socket: Socket | undefined): Promise<void> {
    const replica = this.#replicas.get(id);
    if (socket === undefined) return;
    if (replica === undefined) socket.destroy();
    else await replica.host.acceptRemote(socket);
  }

  /** Stops one replica. The others continue. */
  async #stop(id: string): Promise<void> {
    const replica = this.#replicas.get(id);
    await replica?.stop();
    // The supervisor may have stopped waiting and started another replica of this name (MR3).
    if (this.#replicas.get(id) === replica) this.#replicas.delete(id);
  }

  async #end(): Promise<void> {
    for (const replica of [...this.#replicas.values()].reverse()) await replica.stop();
    const loaded = this.#loaded;
    if (loaded === undefined) return;
    await loaded.runtime.close();
    loaded.flush();
    closeInspector();
  }

  #replica(id: string): HostedReplica {
    const replica = this.#replicas.get(id);
    if (replica === undefined) throw fail("start_aborted", { service: id });
    return replica;
  }

  #requireLoaded(): Loaded {
    if (this.#loaded === undefined) throw fail("start_aborted", { service: this.#order?.services.join(", ") ?? "" });
    return this.#loaded;
  }
}

type Reply = Extract<FromRuntime, { kind: "answer" | "replica-answer" }>;

/** Turns what a step throws synchronously into a rejection. */
const promise = async <T>(step: () => Promise<T>): Promise<T> => step();

/** State once the author's files are loaded. */
interface Loaded {
  readonly runtime: Runtime;
  readonly inlineCallees: InlineCallees;
  readonly flush: () => void;
}

/** Loads the code of faults, which only tests need. */
async function createFaults(): Promise<Faults> {
  const { Faults } = await import("./faults.js");
  return new Faults();
}

function openLog({ logsTo, sharesStdout, settings }: RuntimeOrder, port: ControlPort): LogOutput {
  const { logLevel } = settings.server;
  if (sharesStdout) shareStdout();
  if (logsTo === "stdout") return createLog(logLevel);
  const log: Logger = guardLog(createForwardingLog(port, logLevel));
  return { log, flush: () => {} };
}

const levels = ["debug", "info", "warn", "error"] as const;
type Level = (typeof levels)[number];

/**
 * Creates a logger whose lines the supervisor writes: for terminals, and for programs that passed a logger of their
 * own.
 */
function createForwardingLog(port: ControlPort, level: string, base: object = {}): Logger {
  const least = levels.indexOf(level as Level);
  const write = (own: Level) => (fields: object, message?: string) => {
    if (level === "silent" || levels.indexOf(own) < least) return;
    const line = { kind: "log", level: own, message } as const;
    try {
      port.send({ ...line, fields: { ...base, ...fields } });
    } catch {
      // A field can't be sent to another thread. Its text can.
      port.send({ ...line, fields: { ...base, text: textOf(Object.values(fields)) } });
    }
  };
  return {
    debug: write("debug"),
    info: write("info"),
    warn: write("warn"),
    error: write("error"),
    child: (fields) => createForwardingLog(port, level, { ...base, ...fields }),
  };
}
