import { randomBytes } from "node:crypto";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import type { Clock } from "../base/clock.js";
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
import type { AppAnswers, LinkUpdate } from "../placement/control.js";
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
import { type AssignedDevices, assignDevices, detectDevices } from "./assign-devices.js";
import { nameApp } from "./plan-app.js";
import { HostLives, RemoteRuntimes } from "./remote-runtimes.js";
import { holdProcess } from "./stop-signals.js";

/** What an app is started with besides its plan. */
interface AppDeps {
  /** Where the author's code lies; asked only for replicas in threads and processes, and by apps with tasks. */
  readonly locateEntry: () => Promise<EntryLocation>;
  /** Beside which the app keeps its tasks. Default: where its entry service is defined. */
  readonly appFolder?: string | undefined;
  /** The same for versions of an app that replace one another by intent. Default: one of its own. */
  readonly session?: string | undefined;
  /** The file that was started: it names the app's tasks. Default: the script that runs. */
  readonly program?: string | undefined;
  readonly log?: Logger;
  /** `"stdout"` lets replicas elsewhere write their own lines there. Default: through `log`. */
  readonly logsTo?: "stdout" | "supervisor";
  readonly time?: CallTime;
  readonly onEvent?: OnAppEvent;
  /** In a test: the faults that calls meet. */
  readonly faults?: Faults;
  /** Services that the app's own thread calls, besides those its replicas call. Default: none. */
  readonly calls?: readonly string[];
  /** For replicas that answer HTTP: the app file whose plugins they add, and the bound socket they share. */
  readonly http?: { readonly appFile: string | undefined; readonly handle: unknown };
  /** Set once the app is to be sent no more requests. */
  readonly departure?: { readonly hasBegun: boolean };
  /** Default: nobody cares. */
  readonly entryEvents?: EntryEvents;
}

/** A running graph. */
export interface App {
  readonly graph: Graph;
  readonly plan: Plan;
  /** The main thread's own. */
  readonly runtime: Runtime;
  /** A handle on any service of the graph, as a program or a test calls it. */
  handle(service: string): object;
  readiness(): Promise<Readiness>;
  metrics(): Promise<MetricsPage>;
  /** Why the entry service is down, if it is. */
  entryDown(): DownReason | undefined;
  /** Requests in flight at the edges of replicas. */
  edgeInFlight(): Promise<number>;
  /** In a test: tells every process which faults its calls meet from now on. */
  spreadFaults(): void;
  /** Ends one replica as a crash would; resolves when another has taken its place. */
  replaceReplica(service: string, index: number): Promise<void>;
  /** Drains, callers before callees, then stops. What is left when `limit` is aborted is cancelled. */
  stop(limit?: AbortSignal): Promise<void>;
}

/**
 * Starts every service of a plan.
 *
 * @throws {ServingError} of the first service that does not start; what had started is stopped again.
 */
export async function startApp(plan: Plan, deps: AppDeps): Promise<App> {
  const { graph } = plan;
  const devices = handOutDevices(plan);
  const main = await openMainThread(plan, deps);
  const { runtime } = main;
  const { clock } = runtime.time;
  const registry = new ReplicaRegistry();
  const readMetrics = (): Promise<MetricsPage> => joinMetrics(runtime.metrics, supervisor);
  const readReadiness = async (): Promise<Readiness> => {
    const readiness = addObstacles(await supervisor.readiness(), runtime.links.obstacles);
    return addDeparture(readiness, deps.departure?.hasBegun === true);
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
    onEvent: deps.onEvent ?? (() => {}),
    random: Math.random,
    finishStart: listenAtEntry(graph.entry, deps.http?.handle),
    onMoved: (deployment) => {
      if (deployment.service === graph.entry) watch?.note(deployment);
    },
  });
  const notify = (update: LinkUpdate) => runtime.links.apply(update);
  registry.subscribe({ residence: "main", notify }, listCallees(plan, deps.calls));
  applyEnvironment(plan);
  const close = async () => {
    watch?.stop();
    await main.close();
  };
  try {
    await supervisor.start();
  } catch (error) {
    await close();
    throw error;
  }
  await runtime.links.settled();
  void runtime.tasks.lookOver();
  return {
    graph,
    plan,
    runtime,
    handle: (service) => runtime.handleOf(service),
    readiness: readReadiness,
    metrics: readMetrics,
    entryDown: () => supervisor.downOf(graph.entry),
    edgeInFlight: () => sumInFlight(supervisor.hostsOf(graph.entry)),
    spreadFaults: () => registry.setFaults(deps.faults?.notices ?? []),
    replaceReplica: (service, index) => supervisor.replaceReplica(service, index),
    stop: (limit) => {
      watch?.stop();
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
    settings: nameTasks(plan, deps.program),
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
      const host = new LocalHost(parts, folders?.nextAddress(), folders?.slabs, runtime.files);
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

/** Of this thread and of every other thread and process, each once. */
async function joinMetrics(own: Metrics, { hosts, figures }: Supervisor): Promise<MetricsPage> {
  const oneOfEach = new Map(hosts.map((host) => [host.caller, host]));
  const reads = [...oneOfEach.values()].map((host) => host.metrics?.() ?? []);
  const all = await Promise.allSettled([own.readJson(), ...reads]);
  const read = all.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  return formatMetrics([createDeploymentMetrics(figures), ...read]);
}

/**
 * Folder on a disk for the largest values of the main thread. An app whose replicas all live in this thread has no folders until
 * the first such value arrives.
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

/** Where nothing needs to load the entry service again, it need not be found. */
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

/** The folder of the file that defines the entry service, as far as that can be told; else where the process was started. */
function findAppFolder(graph: Graph): string {
  const file = findEntryFile(graph);
  return file === undefined ? process.cwd() : dirname(file);
}

function findEntryFile(graph: Graph): string | undefined {
  const service = graph.services.get(graph.entry)?.service;
  const [file] = service === undefined ? [] : readServiceFiles(service);
  return file?.startsWith("file:") === true ? fileURLToPath(file) : undefined;
}

/** A namespace that nobody has named is the app's own. */
function nameTasks({ graph, settings }: Plan, program = findScript() ?? findEntryFile(graph)): AppSettings {
  const { tasks } = settings;
  const namespace = tasks.namespace || nameApp(program ?? "app", graph.entry);
  return { ...settings, tasks: { ...tasks, namespace } };
}

/** Where processes write their own lines there are several of them, this one among them. */
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

/** An app that is about to stop still answers, but is to be sent nothing more. */
const addDeparture = (readiness: Readiness, hasBegun: boolean): Readiness =>
  hasBegun ? { ...readiness, isReady: false, isDraining: true } : readiness;

/** Services that the main thread calls: its replicas do, its HTTP server, or a program. */
function listCallees({ deployments }: Plan, calls: readonly string[] = []): string[] {
  const inMain = deployments.filter(({ residence }) => residence === "main");
  return [...new Set([...calls, ...inMain.flatMap(({ descriptor, callees }) => [descriptor.name, ...callees])])];
}

/** An entry replica that answers HTTP itself begins to listen as soon as it is ready. */
function listenAtEntry(entry: string, handle: unknown) {
  return async (host: ReplicaHost, service: string): Promise<void> => {
    if (handle !== undefined && service === entry) await host.listen?.(handle);
  };
}

async function sumInFlight(hosts: readonly ReplicaHost[]): Promise<number> {
  const pulses = await Promise.allSettled(hosts.map((host) => host.pulse(1_000)));
  return pulses.reduce((sum, pulse) => sum + (pulse.status === "fulfilled" ? (pulse.value?.inFlight ?? 0) : 0), 0);
}

/** A variable that the process was started with stays as it is: whoever runs the app has the last word. */
function applyEnvironment({ deployments }: Plan): void {
  const inMain = deployments.filter(({ residence }: DeploymentPlan) => residence === "main");
  for (const { env } of inMain) for (const [variable, value] of env) process.env[variable] ??= value;
}

/** What there is to do while the entry service has no replica. */
export interface EntryEvents {
  /** Nobody is there, and connections should not wait any longer. */
  readonly onAbsent: () => void;
  /** A replica is there again. */
  readonly onPresent: () => void;
  /** There was none for `exitAfterMs`. @param error `entry_gone` */
  readonly onGone: (error: ServingError) => void;
}

/** Watches the entry service of a plan: connections wait as long for it as calls do. */
function watchEntry({ graph, settings }: Plan, clock: Clock, events: EntryEvents): EntryWatch {
  const { exitAfterMs } = settings.server;
  const service = graph.entry;
  const { waitForReplicaMs } = settings.services.get(service) as ServiceSettings;
  return new EntryWatch({
    ...{ clock, exitAfterMs, waitMs: waitForReplicaMs },
    onAbsent: events.onAbsent,
    onPresent: events.onPresent,
    onGone: (reason) => events.onGone(fail("entry_gone", { service, exitAfterMs, reason }, { service })),
  });
}
