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
import type { EntryCaller } from "../handle/call-target.js";
import { FileStore } from "../held/file-store.js";
import { FullMemory } from "../held/memory-files.js";
import type { FormerTask } from "../http/http-state.js";
import { type EntryLocation, findScript } from "../load/entry-location.js";
import { shareStdout } from "../observe/line-writer.js";
import { guardLog } from "../observe/log.js";
import {
  createDeploymentMetrics,
  createMetrics,
  formatMetrics,
  type Metrics,
  type MetricsPage,
} from "../observe/metrics.js";
import { addObstacles, type Readiness } from "../observe/readiness.js";
import type { AppSettings, ServiceSettings } from "../options/settings.js";
import type { AppAnswers } from "../placement/control.js";
import type { CallerUpdate, ReplicaHost } from "../placement/placement.js";
import { RemoteHost } from "../placement/remote-host.js";
import type { Faults } from "../runtime/faults.js";
import { OutgoingLinks } from "../runtime/outgoing-links.js";
import { type AppRun, Runtime } from "../runtime/runtime.js";
import { EntryWatch } from "../supervisor/entry-watch.js";
import { CallerCounts, ReplicaRegistry } from "../supervisor/replica-registry.js";
import type { DownReason } from "../supervisor/replica-slot.js";
import type { OnAppEvent } from "../supervisor/replica-state.js";
import { Supervisor } from "../supervisor/supervisor.js";
import { AppFolders } from "./app-folders.js";
import { assignDevices, detectDevices } from "./assign-devices.js";
import { nameApp } from "./plan-app.js";
import { createHost, HostLives, RemoteRuntimes } from "./remote-runtimes.js";
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
  readonly edge?: { readonly appFile: string | undefined; readonly handle: unknown };
  /** Set once the app is to be sent no more requests. */
  readonly departure?: { readonly hasBegun: boolean };
  /** Default: nobody cares. */
  readonly entryEvents?: EntryEvents;
}

/** A running graph. */
export interface App {
  readonly graph: Graph;
  readonly plan: Plan;
  /** For the HTTP edge, where it is in this process. */
  readonly caller: EntryCaller;
  /** What this thread keeps of the largest values. */
  readonly files: FileStore;
  /** A handle on any service of the graph, as a program or a test calls it. */
  handle(service: string): object;
  readiness(): Promise<Readiness>;
  metrics(): Promise<MetricsPage>;
  /** Why the entry service is down, if it is. */
  entryDown(): DownReason | undefined;
  /** Requests in flight at the edges of replicas. */
  edgeInFlight(): Promise<number>;
  /** A task of an api that the app has no more. */
  findFormerTask(id: string): Promise<FormerTask | undefined>;
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
  const settings = nameTasks(plan, deps.program);
  const [log, time] = [guardLog(deps.log ?? silentLogger), deps.time ?? systemTime];
  const isRemote = plan.deployments.some(({ residence }) => residence === "process" || residence === "thread");
  const devices = handOutDevices(plan);
  const entry = isRemote || hasTasks(graph) ? await locate(deps, isRemote) : undefined;
  const folders = isRemote ? new AppFolders(time.clock, log) : undefined;
  const { appFolder = entry === undefined ? findAppFolder(graph) : dirname(entry.file) } = deps;
  const runtime = new Runtime({ graph, settings, log, time, appFolder, run: createRun(deps.session) });
  const { directory, stats } = runtime;
  const { files, removeFolders } = keepFiles(runtime, folders);
  const links = new OutgoingLinks({
    ...{ directory, stats, clock: time.clock, log, slabFolder: folders?.slabs, files },
    faults: deps.faults,
  });
  const registry = new ReplicaRegistry();
  const metrics = createMetrics(stats);
  const readMetrics = (): Promise<MetricsPage> => joinMetrics(metrics, supervisor);
  const readReadiness = async (): Promise<Readiness> =>
    addDeparture(addObstacles(await supervisor.readiness(), links.obstacles), deps.departure?.hasBegun === true);
  const answers = { readiness: readReadiness, metrics: readMetrics };
  const sites =
    folders === undefined || entry === undefined
      ? undefined
      : new RemoteRuntimes({
          ...{ runtime, folders, entry, settings, devices, appFolder },
          ...{ lives: new HostLives(runtime), appFile: deps.edge?.appFile, ...chooseOutput(plan, deps.logsTo) },
          takesFaults: deps.faults !== undefined,
          outsideEnv: { ...process.env },
          answer: (what: keyof AppAnswers): Promise<any> => answers[what](),
        });
  const hostParts = { runtime, settings, devices, folders, files, sites };
  const watch = deps.entryEvents && watchEntry(plan, time.clock, deps.entryEvents);
  const supervisor: Supervisor = new Supervisor(plan, {
    createHost: (own, index) => createHost(own, index, hostParts),
    ...{ registry, clock: time.clock, log },
    calls: new CallerCounts(() => stats.inFlightByService),
    onEvent: deps.onEvent ?? (() => {}),
    random: Math.random,
    finishStart: listenAtEntry(graph.entry, deps.edge?.handle),
    onMoved: (deployment) => {
      if (deployment.service === graph.entry) watch?.note(deployment);
    },
  });
  subscribeRoot({ plan, deps, registry, links });
  applyEnvironment(plan);
  const close = async () => {
    watch?.stop();
    await runtime.closeStore();
    directory.close();
    links.close();
    removeFolders();
  };
  try {
    await supervisor.start();
  } catch (error) {
    await close();
    throw error;
  }
  await links.settled();
  void runtime.lookOver();
  return {
    ...{ graph, plan, files },
    caller: runtime.entryCaller(),
    handle: (service) => runtime.handleOf(service),
    readiness: answers.readiness,
    metrics: readMetrics,
    entryDown: () => supervisor.downOf(graph.entry),
    edgeInFlight: () => sumInFlight(supervisor.hostsOf(graph.entry)),
    findFormerTask: (id) => runtime.findFormerTask(id),
    spreadFaults: () => registry.setFaults(deps.faults?.notices ?? []),
    replaceReplica: (service, index) => supervisor.replaceReplica(service, index),
    stop: (limit) => {
      watch?.stop();
      return holdProcess(supervisor.stop(limit).finally(close));
    },
  };
}

/** Of this thread and of every other thread and process, each once. */
async function joinMetrics(own: Metrics, { hosts, figures }: Supervisor): Promise<MetricsPage> {
  const remote = new Set(hosts.flatMap((host) => (host instanceof RemoteHost ? [host.caller] : [])));
  const all = await Promise.allSettled([own.readJson(), ...[...remote].map((runtime) => runtime.metrics())]);
  const read = all.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  return formatMetrics([createDeploymentMetrics(figures), ...read]);
}

/** Where everything is in this thread, the app has a folder from its first large value on. */
function keepFiles({ life, time, log }: Runtime, folders: AppFolders | undefined) {
  let own: AppFolders | undefined;
  let hasFailed = false;
  const open = (): AppFolders | undefined => {
    if (folders !== undefined) return folders;
    if (own !== undefined || hasFailed) return own;
    try {
      own = new AppFolders(time.clock, log);
    } catch (error) {
      hasFailed = true;
      log.info({ problem: messageOf(error) }, `large bodies are kept in memory: ${messageOf(error)}`);
    }
    return own;
  };
  const fullMemory = new FullMemory(log, time.clock);
  const files = new FileStore(life, () => ({ memory: folders?.slabs, disk: open()?.disk }), time.clock, fullMemory);
  const removeFolders = () => {
    files.close();
    (folders ?? own)?.remove();
  };
  return { files, removeFolders };
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

function handOutDevices({ deployments, settings }: Plan) {
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

interface RootSubscription {
  readonly plan: Plan;
  readonly deps: AppDeps;
  readonly registry: ReplicaRegistry;
  readonly links: OutgoingLinks;
}

/** The app's own thread hears of what it calls: from its replicas, its HTTP edge, or a program. */
function subscribeRoot({ plan, deps: parts, registry, links }: RootSubscription): void {
  const inRoot = plan.deployments.filter(({ residence }) => residence === "root");
  const services = new Set([
    ...(parts.calls ?? []),
    ...inRoot.flatMap(({ descriptor, callees }) => [descriptor.name, ...callees]),
  ]);
  const notify = (notice: CallerUpdate) => {
    // Those of this thread are set by the test itself.
    if (notice.kind !== "faults") links.apply(notice);
  };
  registry.subscribe({ residence: "root", notify }, [...services]);
}

/** An entry replica that answers HTTP itself begins to listen as soon as it is ready. */
function listenAtEntry(entry: string, handle: unknown) {
  return async (host: ReplicaHost, service: string): Promise<void> => {
    if (handle !== undefined && service === entry && host instanceof RemoteHost) await host.listen(handle);
  };
}

async function sumInFlight(hosts: readonly ReplicaHost[]): Promise<number> {
  const pulses = await Promise.allSettled(hosts.map((host) => host.pulse(1_000)));
  return pulses.reduce((sum, pulse) => sum + (pulse.status === "fulfilled" ? (pulse.value?.inFlight ?? 0) : 0), 0);
}

/** A variable that the process was started with stays as it is: whoever runs the app has the last word. */
function applyEnvironment({ deployments }: Plan): void {
  const inRoot = deployments.filter(({ residence }: DeploymentPlan) => residence === "root");
  for (const { env } of inRoot) for (const [variable, value] of env) process.env[variable] ??= value;
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
