import { randomBytes } from "node:crypto";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { type Clock, within } from "../base/clock.js";
import { type Logger, silentLogger } from "../base/logger.js";
import { type CallTime, systemTime } from "../call/call-scope.js";
import { readServiceFiles } from "../define/service.js";
import { fail } from "../failure/failures.js";
import type { ServingError } from "../failure/serving-error.js";
import { messageOf } from "../failure/to-serving-error.js";
import type { Graph } from "../graph/graph.js";
import type { DeploymentPlan, Plan } from "../graph/plan.js";
import { type EntryLocation, findScript } from "../load/entry-location.js";
import { shareStdout } from "../observe/line-writer.js";
import { guardLog } from "../observe/log.js";
import { createDeploymentMetrics, formatMetrics, type Metrics, type MetricsPage } from "../observe/metrics.js";
import { addObstacles, type Readiness } from "../observe/readiness.js";
import type { AppSettings, ServiceSettings } from "../options/settings.js";
import { type AppAnswers, type LinkUpdate, openInspector } from "../placement/control.js";
import type { ReplicaHost } from "../placement/placement.js";
import type { AppRun } from "../runtime/app-tasks.js";
import type { Faults } from "../runtime/faults.js";
import { LocalHost } from "../runtime/local-host.js";
import { grantResources, Runtime } from "../runtime/runtime.js";
import { EntryWatch } from "../supervisor/entry-watch.js";
import { CallerCounts, ReplicaRegistry } from "../supervisor/replica-registry.js";
import type { DownReason } from "../supervisor/replica-slot.js";
import type { OnAppEvent } from "../supervisor/replica-state.js";
import { Supervisor } from "../supervisor/supervisor.js";
import { AppFolders } from "./app-folders.js";
import { AppModels } from "./app-models.js";
import { type AssignedDevices, assignDevices, detectDevices } from "./assign-devices.js";
import { EdgeListener } from "./edge-listener.js";
import { nameApp } from "./plan-app.js";
import { findInspectOrder, HostLives, liftStartLimits, RemoteRuntimes, readVariables } from "./remote-runtimes.js";
import { holdProcess } from "./stop-signals.js";

/** Longest wait for links of the main thread to what it calls. */
const linksLimitMs = 5_000;

/** Arguments of `startApp` besides the plan. */
interface AppDeps {
  /** Finds the author's code. Called only for replicas in threads and processes, and for apps with tasks. */
  readonly locateEntry: () => Promise<EntryLocation>;
  /** Location of the code of single services, in a build. Default: one location for all. */
  readonly entries?: ReadonlyMap<string, EntryLocation> | undefined;
  /** Folder beside which the app keeps its tasks. Default: the folder of the file that defines its entry service. */
  readonly appFolder?: string | undefined;
  /** Id that versions of an app share when they replace one another by intent. Default: a new one. */
  readonly session?: string | undefined;
  /** File that was started, which names the app's tasks. Default: the script that runs. */
  readonly program?: string | undefined;
  readonly log?: Logger;
  /** `"stdout"` lets replicas elsewhere write their own lines to stdout. Default: they pass through `log`. */
  readonly logsTo?: "stdout" | "supervisor";
  readonly time?: CallTime;
  readonly onEvent?: OnAppEvent;
  /** Faults that calls meet in a test. */
  readonly faults?: Faults;
  /** Services that the main thread calls, besides those that its replicas call. Default: none. */
  readonly calls?: readonly string[];
  /** App file with functions, and the bound socket, for replicas that answer HTTP. */
  readonly http?: { readonly appFile: string | undefined; readonly handle: unknown };
  /** State of the shutdown: once it has begun, clients should send no more requests. */
  readonly departure?: { readonly hasBegun: boolean };
  /** True when other apps call the entry service, at the address of the option `listen`. Default false. */
  readonly isCalled?: boolean;
  /** Called when the entry service loses and regains its replicas. Default: none. */
  readonly entryEvents?: EntryEvents;
  /** Called before the first service starts, so that probes are answered during the start. */
  readonly onOpened?: (opened: OpenedApp) => Promise<void>;
}

/** An app before its first service starts. */
export type OpenedApp = Pick<App, "runtime" | "readiness" | "metrics">;

/** A running app. */
export interface App {
  readonly graph: Graph;
  readonly plan: Plan;
  /** Runtime of the main thread. */
  readonly runtime: Runtime;
  /**
   * Returns a handle on any service of the graph, for a program or a test.
   *
   * @param context Returns the context of a call, for each call. Default: calls have none.
   */
  handle(service: string, context?: () => unknown): object;
  readiness(): Promise<Readiness>;
  metrics(): Promise<MetricsPage>;
  /** Reason why the entry service is down; `undefined` while it is not. */
  entryDown(): DownReason | undefined;
  /** Counts the requests in flight at entry replicas. */
  httpInFlight(): Promise<number>;
  /** Port at which other apps call the entry service, which does not listen yet; `undefined` without `isCalled`. */
  readonly edge: EdgeListener | undefined;
  /** Sends the current faults of a test to every thread and process. */
  spreadFaults(): void;
  /** Ends one replica as a crash would. Resolves when another is ready in its slot. */
  replaceReplica(service: string, index: number): Promise<void>;
  /** Drains, callers before callees, then stops. Cancels the remaining calls when `limit` is aborted. */
  stop(limit?: AbortSignal): Promise<void>;
}

/**
 * Starts every service of a plan.
 *
 * @throws {ServingError} Failure of the first service that does not start. Services that had started are stopped again.
 */
export async function startApp(plan: Plan, deps: AppDeps): Promise<App> {
  const { graph } = plan;
  const devices = handOutDevices(plan);
  const main = await openMainThread(plan, deps);
  const { runtime } = main;
  const { clock } = runtime.time;
  const onEvent = deps.onEvent ?? (() => {});
  const models = new AppModels(plan, { log: runtime.log, clock, onEvent });
  const registry = new ReplicaRegistry();
  const readMetrics = (): Promise<MetricsPage> => joinMetrics(runtime.metrics, supervisor);
  const readReadiness = async (): Promise<Readiness> => {
    const readiness = addObstacles(await supervisor.readiness(), runtime.obstaclesTo());
    return models.addTo(addDeparture(readiness, deps.departure?.hasBegun === true));
  };
  const answers = { readiness: readReadiness, metrics: readMetrics };
  const remote = createRemoteRuntimes(main, { plan, deps, devices, answers });
  const watch = deps.entryEvents && watchEntry(plan, clock, deps.entryEvents);
  const supervisor: Supervisor = new Supervisor(plan, {
    createHost: (own, index) =>
      own.residence === "main" || remote === undefined ? main.createHost(own, index) : remote.createHost(own, index),
    registry,
    clock,
    log: runtime.log,
    calls: new CallerCounts(() => runtime.stats.inFlightByService),
    onEvent,
    random: Math.random,
    readRemotes: () => runtime.remotes?.readiness ?? [],
    finishStart: listenAtEntry(graph.entry, deps.http?.handle),
    onMoved: (deployment) => {
      if (deployment.service === graph.entry) watch?.note(deployment);
    },
  });
  const notify = (update: LinkUpdate) => runtime.links.apply(update);
  const callees = listCallees(plan, deps.calls);
  registry.subscribe({ residence: "main", notify }, callees);
  const edge = deps.isCalled === true ? new EdgeListener({ service: graph.entry, runtime, registry }) : undefined;
  const close = async () => {
    watch?.stop();
    edge?.close();
    await main.close();
  };
  try {
    applyEnvironment(plan);
    runtime.edgeSecurity.load();
    await deps.onOpened?.({ runtime, readiness: readReadiness, metrics: readMetrics });
    await models.fetch();
    await runtime.openRemotes(callees);
    await supervisor.start();
  } catch (error) {
    await close();
    throw error;
  }
  await within(clock, linksLimitMs, runtime.settled(), () => {});
  void runtime.tasks.lookOver();
  return {
    graph,
    plan,
    runtime,
    handle: (service, context) => runtime.handleOf(service, context),
    readiness: readReadiness,
    metrics: readMetrics,
    entryDown: () => supervisor.downOf(graph.entry),
    edge,
    httpInFlight: () => sumInFlight(supervisor.hostsOf(graph.entry)),
    spreadFaults: () => registry.setFaults(deps.faults?.notices ?? []),
    replaceReplica: (service, index) => supervisor.replaceReplica(service, index),
    stop: (limit) => {
      watch?.stop();
      edge?.stop();
      return holdProcess(supervisor.stop(limit).finally(close));
    },
  };
}

/** Main thread of an app, before its first replica starts. */
interface MainThread {
  readonly runtime: Runtime;
  /** Location of the author's code. Absent where nothing needs to load it again. */
  readonly entry: EntryLocation | undefined;
  /** Absent where every replica lives in the main thread. */
  readonly folders: AppFolders | undefined;
  readonly appFolder: string;
  /** Makes a host in this thread. It has a socket where the app has replicas elsewhere, which may call it. */
  createHost(plan: DeploymentPlan, index: number): LocalHost;
  /** Closes the runtime, then removes the folders. */
  close(): Promise<void>;
}

async function openMainThread(plan: Plan, deps: AppDeps): Promise<MainThread> {
  const { graph } = plan;
  const [log, time] = [guardLog(deps.log ?? silentLogger), deps.time ?? systemTime];
  const isRemote = plan.deployments.some(({ residence }) => residence === "process" || residence === "thread");
  const entry = isRemote || hasTasks(graph) ? await locate(deps, isRemote) : undefined;
  const folders = isRemote ? new AppFolders(time.clock, log) : undefined;
  const disk = new LazyDisk(folders, time.clock, log);
  const { appFolder = entry === undefined ? findAppFolder(graph) : dirname(entry.file) } = deps;
  const hosts = new Map<string, LocalHost>();
  const runtime = new Runtime({
    graph,
    settings: inspectHere(plan, nameTasks(plan, deps.program), log),
    log,
    time,
    appFolder,
    run: createRun(deps.session),
    slabFolder: folders?.slabs,
    findDisk: () => disk.find(),
    local: { find: (replica) => hosts.get(replica)?.link, isPreferred: false },
    faults: deps.faults,
  });
  return {
    runtime,
    entry,
    folders,
    appFolder,
    createHost: ({ descriptor: { name: service }, settings }, index) => {
      const parts = runtime.partsOf({ service, index, resources: grantResources(settings, []) });
      const edge = runtime.edgeOf(service);
      const host = new LocalHost(parts, folders?.nextAddress(), folders?.slabs, runtime.files, edge);
      hosts.set(host.id, host);
      return host;
    },
    close: async () => {
      await runtime.close();
      disk.remove();
    },
  };
}

interface RemoteRuntimesWish {
  readonly plan: Plan;
  readonly deps: AppDeps;
  readonly devices: AssignedDevices;
  /** Answers of the whole app to questions of its replicas. */
  readonly answers: { readonly [What in keyof AppAnswers]: () => Promise<AppAnswers[What]> };
}

/** @returns `undefined` where every replica lives in the main thread. */
function createRemoteRuntimes(main: MainThread, { plan, deps, devices, answers }: RemoteRuntimesWish) {
  const { runtime, folders, entry, appFolder } = main;
  if (folders === undefined || entry === undefined) return undefined;
  return new RemoteRuntimes({
    runtime,
    folders,
    entry,
    entries: deps.entries,
    settings: runtime.settings,
    devices,
    appFolder,
    lives: new HostLives(runtime),
    appFile: deps.http?.appFile,
    ...chooseOutput(plan, deps.logsTo),
    takesFaults: deps.faults !== undefined,
    outsideEnv: { ...process.env },
    answer: (what) => answers[what](),
  });
}

/** Joins the metrics of the main thread with those of every other thread and process, each once. */
async function joinMetrics(own: Metrics, { hosts, figures }: Supervisor): Promise<MetricsPage> {
  const oneOfEach = new Map(hosts.map((host) => [host.caller, host]));
  const reads = [...oneOfEach.values()].map((host) => host.metrics?.() ?? []);
  const all = await Promise.allSettled([own.readJson(), ...reads]);
  const read = all.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  return formatMetrics([createDeploymentMetrics(figures), ...read]);
}

/** Opens the inspector of this process if a replica in it is to be debugged, and lifts the limits of its start. */
function inspectHere({ deployments }: Plan, settings: AppSettings, log: Logger): AppSettings {
  const services = deployments.filter(({ residence }) => residence === "main").map(({ descriptor }) => descriptor.name);
  const indexes = settings.server.inspect.concat(settings.server.inspectWait).map(({ index }) => index);
  const [order] = indexes.flatMap((index) => findInspectOrder(settings, services, index) ?? []);
  if (order === undefined) return settings;
  openInspector(order, log, () => {});
  return liftStartLimits(settings);
}

/**
 * Folder on a disk for the largest values of the main thread. An app whose replicas all live in this thread has no
 * folders until the first such value arrives.
 */
class LazyDisk {
  readonly #clock: Clock;
  readonly #log: Logger;
  #folders: AppFolders | undefined;
  #hasFailed = false;

  constructor(folders: AppFolders | undefined, clock: Clock, log: Logger) {
    this.#folders = folders;
    this.#clock = clock;
    this.#log = log;
  }

  /** @returns `undefined` where no folder could be made. */
  find(): string | undefined {
    if (this.#folders === undefined && !this.#hasFailed) this.#open();
    return this.#folders?.disk;
  }

  /** Removes all folders of the app. */
  remove(): void {
    this.#folders?.remove();
  }

  #open(): void {
    try {
      this.#folders = new AppFolders(this.#clock, this.#log);
    } catch (error) {
      this.#hasFailed = true;
      const problem = messageOf(error);
      this.#log.info({ problem }, `large bodies are kept in memory: ${problem}`);
    }
  }
}

const hasTasks = ({ services }: Graph): boolean =>
  [...services.values()].some(({ apis }) => [...apis.values()].some(({ kind }) => kind === "task"));

/** Finds the author's code. A failure is ignored where nothing needs to load that code again. */
async function locate({ locateEntry }: AppDeps, isNeeded: boolean): Promise<EntryLocation | undefined> {
  try {
    return await locateEntry();
  } catch (error) {
    if (isNeeded) throw error;
    return undefined;
  }
}

function createRun(session: string | undefined): AppRun {
  const id = randomBytes(16).toString("hex");
  return { id, pid: process.pid, session: session ?? id };
}

/** Finds the folder of the file that defines the entry service, or else the folder in which the process was started. */
function findAppFolder(graph: Graph): string {
  const file = findEntryFile(graph);
  return file === undefined ? process.cwd() : dirname(file);
}

function findEntryFile(graph: Graph): string | undefined {
  const service = graph.services.get(graph.entry)?.service;
  const [file] = service === undefined ? [] : readServiceFiles(service);
  return file?.startsWith("file:") === true ? fileURLToPath(file) : undefined;
}

/** Names the namespace of tasks after the app where no option sets it. */
function nameTasks({ graph, appEntry, settings }: Plan, program = findScript() ?? findEntryFile(graph)): AppSettings {
  const { tasks } = settings;
  const namespace = tasks.namespace || nameApp(program ?? "app", appEntry);
  return { ...settings, tasks: { ...tasks, namespace } };
}

/** Decides where log lines go. Several processes share stdout when replicas write their own lines. */
function chooseOutput({ deployments }: Plan, logsTo: AppDeps["logsTo"] = "supervisor") {
  const sharesStdout = logsTo === "stdout" && deployments.some(({ residence }) => residence === "process");
  if (sharesStdout) shareStdout();
  return { logsTo, sharesStdout };
}

function handOutDevices({ deployments, settings }: Plan): AssignedDevices {
  const wishes = deployments
    .filter(
      ({ residence, settings: own }) => own.resources.gpu > 0 && (residence === "process" || residence === "thread"),
    )
    .map(({ descriptor, settings: own }) => ({
      service: descriptor.name,
      replicas: own.replicas.max,
      gpu: own.resources.gpu,
    }));
  return wishes.length === 0 ? new Map() : assignDevices(wishes, detectDevices(settings.gpus, process.env));
}

/** Reports an app that is about to stop as not ready. It still answers. */
const addDeparture = (readiness: Readiness, hasBegun: boolean): Readiness =>
  hasBegun ? { ...readiness, isReady: false, isDraining: true } : readiness;

/** Services that the main thread calls: its replicas do, its HTTP server, or a program. */
function listCallees({ deployments }: Plan, calls: readonly string[] = []): string[] {
  const inMain = deployments.filter(({ residence }) => residence === "main");
  return [...new Set([...calls, ...inMain.flatMap(({ descriptor, callees }) => [descriptor.name, ...callees])])];
}

/** Lets an entry replica that answers HTTP itself listen as soon as it has started. */
function listenAtEntry(entry: string, handle: unknown) {
  return async (host: ReplicaHost, service: string): Promise<void> => {
    if (handle !== undefined && service === entry) await host.listen?.(handle);
  };
}

async function sumInFlight(hosts: readonly ReplicaHost[]): Promise<number> {
  const pulses = await Promise.allSettled(hosts.map((host) => host.pulse(1_000)));
  return pulses.reduce((sum, pulse) => sum + (pulse.status === "fulfilled" ? (pulse.value?.inFlight ?? 0) : 0), 0);
}

/**
 * Sets the variables of services in the main thread. A variable that the process was started with is kept.
 *
 * @throws {ServingError} `secret_missing`, `secret_unreadable`.
 */
function applyEnvironment({ deployments }: Plan): void {
  const inMain = deployments.filter(({ residence }: DeploymentPlan) => residence === "main");
  for (const { descriptor, env } of inMain) {
    Object.assign(process.env, readVariables(descriptor.name, env, process.env));
  }
}

/** Reactions to the loss of all replicas of the entry service. */
export interface EntryEvents {
  /** Called when no replica is ready and connections should wait no longer. */
  readonly onAbsent: () => void;
  /** Called when a replica is ready again. */
  readonly onPresent: () => void;
  /** Called when no replica was ready for `exitAfterMs`. @param error `entry_gone` */
  readonly onGone: (error: ServingError) => void;
}

/** Watches the entry service of a plan. Connections wait for it as long as calls do. */
function watchEntry({ graph, settings }: Plan, clock: Clock, events: EntryEvents): EntryWatch {
  const { exitAfterMs } = settings.server;
  const service = graph.entry;
  const { waitForReplicaMs } = settings.services.get(service) as ServiceSettings;
  return new EntryWatch({
    clock,
    exitAfterMs,
    waitMs: waitForReplicaMs,
    onAbsent: events.onAbsent,
    onPresent: events.onPresent,
    onGone: (reason) => events.onGone(fail("entry_gone", { service, exitAfterMs, reason }, { service })),
  });
}
