import { dirname } from "node:path";
import { inspectorUrl } from "../base/inspector-url.js";
import type { Logger } from "../base/logger.js";
import { removePath } from "../base/remove-path.js";
import { within } from "../base/within.js";
import { systemTime } from "../call/call-scope.js";
import { fail } from "../failure/fail.js";
import { toServingError } from "../failure/to-serving-error.js";
import { resolveGraph } from "../graph/resolve-graph.js";
import { FileStore } from "../held/file-store.js";
import { decodedBytes } from "../held/held-bytes.js";
import { loadEntry } from "../load/entry-location.js";
import { guardLog } from "../observe/guarded-log.js";
import { shareStdout } from "../observe/line-writer.js";
import { createLog, type LogOutput } from "../observe/log.js";
import { createMetrics, type Metrics } from "../observe/metrics.js";
import { Asker } from "../placement/asker.js";
import type {
  AppAnswers,
  ControlAnswers,
  ControlPort,
  LinkNotice,
  ReplicaOrder,
  ToReplica,
} from "../placement/control.js";
import { InlineHost } from "../placement/inline.js";
import { encodeError } from "../transport/wire-error.js";
import { watchBackground } from "./background-failures.js";
import { Faults } from "./faults.js";
import { createForwardingLog } from "./forwarding-log.js";
import { readResidentBytes } from "./read-resident-bytes.js";
import type { ReplicaEdge } from "./replica-edge.js";
import { Site } from "./site.js";
import { SiteLinks } from "./site-links.js";

// The life of a replica in a thread or process of its own, as its supervisor orders it:
// load, start, perhaps listen, then drain and stop.
//
// T1  Companions start before the replica and stop after it.
// T2  Each order is answered once, by its own word or by `failed`.

/** How long the links to callees may take to open before `start()` of the author runs without them. */
const linksLimitMs = 5_000;
const appLimitMs = 3_000;

export class ReplicaSite {
  readonly #port: ControlPort;
  readonly #exit: () => void;
  readonly #abort = new AbortController();
  readonly #asker: Asker<AppAnswers>;
  #order: ReplicaOrder | undefined;
  #inside: Inside | undefined;

  constructor(port: ControlPort, exit: () => void) {
    this.#port = port;
    this.#exit = exit;
    this.#asker = new Asker(systemTime.clock, (number, what) => port.send({ kind: "ask", number, what }));
    port.onMessage((message, handle) => this.#receive(message, handle));
  }

  /** Removes the folders of the app, once nobody else is there to do it. */
  removeFolders(): void {
    if (this.#order === undefined) return;
    for (const folder of [dirname(this.#order.address), this.#order.slabFolder]) {
      if (folder !== undefined) removePath(folder);
    }
  }

  #receive(message: ToReplica, handle: unknown): void {
    switch (message.kind) {
      case "load":
        this.#answer("loaded", this.#load(message.order));
        return;
      case "start":
        this.#answer("started", this.#start(message.links));
        return;
      case "link":
        this.#inside?.links.apply(message.notice);
        return;
      case "ended":
        this.#inside?.site.endedLives.note(message.life);
        return;
      case "accept":
        this.#inside?.host.accept(message.port);
        return;
      case "listen":
        this.#answer("listening", this.#listen(handle));
        return;
      case "ask":
        this.#reply(message.number, message.what);
        return;
      case "answer":
        this.#asker.receive(message);
        return;
      case "drain":
        this.#answer("drained", this.#drain(message.limitMs));
        return;
      case "stop":
        void this.#stop().finally(this.#exit);
    }
  }

  #answer(kind: "loaded" | "started" | "listening" | "drained", step: Promise<void>): void {
    step.then(
      () => this.#port.send({ kind }),
      (error: unknown) =>
        this.#port.send({ kind: "failed", error: encodeError(toServingError(error, this.#service, "")) }),
    );
  }

  async #load(order: ReplicaOrder): Promise<void> {
    this.#order = order;
    const { log, flush } = openLog(order, this.#port);
    // To the end of the process or thread, so that no rejection on the way there cuts the stop short.
    const { service } = order;
    watchBackground({ log: log.child({ service, replica: `${service}#${order.index}` }), ownsProcess: true });
    const graph = resolveGraph(await loadEntry(order.entry));
    if (!graph.services.has(order.service)) {
      const known = [...graph.services.keys()];
      throw fail("unknown_service", { service: order.service, file: order.entry.file, known });
    }
    const { settings, appFolder } = order;
    const { life, endedLives, run } = order;
    const site = new Site({ graph, settings, log, time: systemTime, appFolder, life, endedLives, run });
    const { directory, stats } = site;
    const { slabFolder, diskFolder } = order;
    stats.decoded = { service, bytes: () => decodedBytes.count };
    const files = new FileStore(life, () => ({ memory: slabFolder, disk: diskFolder }));
    const faults = order.takesFaults ? new Faults() : undefined;
    this.#inside = {
      order,
      site,
      flush,
      faults,
      links: new SiteLinks({ directory, clock: site.time.clock, log, stats, slabFolder, files, faults }),
      metrics: createMetrics(site.stats),
      companions: createCompanions(site, order),
      host: new InlineHost(site.partsOf(order), order.address, slabFolder, files),
      files,
      edge: undefined,
    };
  }

  async #start(links: readonly LinkNotice[]): Promise<void> {
    const inside = this.#loaded();
    for (const notice of links) inside.links.apply(notice);
    await within(systemTime.clock, linksLimitMs, inside.links.settled(), () => {});
    for (const { service, host } of inside.companions) {
      await host.start([], this.#abort.signal);
      inside.site.directory.add(service, inside.faults?.wrap(host.link, service) ?? host.link);
    }
    await inside.host.start([], this.#abort.signal);
    inside.site.directory.add(inside.order.service, inside.host.link);
  }

  async #listen(handle: unknown): Promise<void> {
    const inside = this.#loaded();
    // Loaded here: only the replicas of the entry service need an HTTP server.
    const { createReplicaEdge } = await import("./replica-edge.js");
    inside.edge = await createReplicaEdge({
      site: inside.site,
      order: inside.order,
      ask: (what) => this.#asker.ask(what, appLimitMs),
    });
    await inside.edge.listen(handle);
  }

  #reply(number: number, what: keyof ControlAnswers): void {
    this.#read(what).then(
      (value) => this.#port.send({ kind: "answer", number, value }),
      (error: unknown) => this.#port.send({ kind: "answer", number, error: String(error) }),
    );
  }

  async #read(what: keyof ControlAnswers): Promise<ControlAnswers[typeof what]> {
    const { host, companions, metrics, links } = this.#loaded();
    if (what === "metrics") return metrics.readJson();
    if (what === "pulse") return readPulse(this.#loaded());
    // What it calls is out of its reach: others may do better.
    if (links.obstacles.length > 0) return false;
    const ready = await Promise.all(
      [host, ...companions.map((companion) => companion.host)].map((own) => own.isReady()),
    );
    return ready.every(Boolean);
  }

  async #drain(limitMs: number): Promise<void> {
    const { edge, host, companions } = this.#loaded();
    const drained = async () => {
      // At once, so that no request waits for a task that will not run here any more.
      const tasks = host.replica.tasks?.drain();
      await edge?.close();
      await tasks;
      await host.drain();
      for (const companion of [...companions].reverse()) await companion.host.drain();
    };
    await within(systemTime.clock, limitMs, drained(), () => edge?.cut());
  }

  async #stop(): Promise<void> {
    this.#abort.abort(fail("start_aborted", { service: this.#service }));
    const inside = this.#inside;
    if (inside === undefined) return;
    inside.edge?.cut();
    await inside.host.stop();
    for (const { host } of [...inside.companions].reverse()) await host.stop();
    await inside.site.closeStore();
    inside.links.close();
    inside.files.close();
    inside.flush();
  }

  get #service(): string {
    return this.#order?.service ?? "";
  }

  #loaded(): Inside {
    if (this.#inside === undefined) throw fail("start_aborted", { service: this.#service });
    return this.#inside;
  }
}

/** Whoever waits for a task is no load; the task is, whether it runs or waits itself. */
function readPulse({ host: { replica }, edge, links }: Inside): ControlAnswers["pulse"] {
  const calls = Math.max(replica.inFlight, edge?.inFlight ?? 0);
  const inFlight = Math.max(0, calls - (replica.tasks?.waiters ?? 0));
  const waitingTasks = replica.tasks?.waitingTasks;
  const url = inspectorUrl();
  const obstacles = links.obstacles.map(({ problem }) => problem);
  return {
    ...{ residentBytes: readResidentBytes(), inFlight },
    ...(waitingTasks !== undefined && { waitingTasks }),
    ...(obstacles.length > 0 && { obstacles }),
    ...(url !== undefined && { inspectorUrl: url }),
  };
}

/** What there is once the author's files are loaded. */
interface Inside {
  readonly order: ReplicaOrder;
  readonly site: Site;
  readonly links: SiteLinks;
  readonly faults: Faults | undefined;
  readonly host: InlineHost;
  readonly companions: readonly Companion[];
  readonly metrics: Metrics;
  readonly files: FileStore;
  readonly flush: () => void;
  edge: ReplicaEdge | undefined;
}

interface Companion {
  readonly service: string;
  readonly host: InlineHost;
}

function createCompanions(site: Site, { companions, companionResources }: ReplicaOrder): Companion[] {
  return companions.flatMap((service) => {
    const resources = companionResources.get(service) ?? {
      cpuThreads: 1,
      memoryBytes: Number.POSITIVE_INFINITY,
      gpus: [],
    };
    const { min } = site.settingsOf(service).replicas;
    return Array.from({ length: min }, (_, index) => ({
      service,
      host: new InlineHost(site.partsOf({ service, index, resources })),
    }));
  });
}

function openLog({ logsTo, sharesStdout, settings }: ReplicaOrder, port: ControlPort): LogOutput {
  const { logLevel } = settings.server;
  if (sharesStdout) shareStdout();
  if (logsTo === "stdout") return createLog(logLevel);
  const log: Logger = guardLog(createForwardingLog(port, logLevel));
  return { log, flush: () => {} };
}
