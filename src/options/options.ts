import { remoteAddresses } from "./address-types.js";
import { edgeOptions } from "./edge-options.js";
import { httpOptions } from "./http-options.js";
import { fieldPaths, headerNames, listOf } from "./list-types.js";
import { listOptions, type Option, outsideSources, row, type SourceKind } from "./option.js";
import {
  addressOr,
  anyText,
  bool,
  choice,
  cores,
  deviceIds,
  devices,
  folder,
  inspectTargets,
  integer,
  milliseconds,
  namespace,
  orWord,
  replicaRange,
  size,
  storeUrl,
  textRecord,
  variables,
  words,
} from "./value-types.js";

// One row is one option. Everything else follows from it: flag, environment variable, app file, `Service()`, contract,
// settings, reference pages. The build gives each field its text and its default as a doc block, which editors show.

/** Sources of options that have no text form. */
const codeSources: readonly SourceKind[] = ["app file", "service"];

const readPattern = (text: string): string | undefined =>
  text === "" || text.startsWith("/") || text.split("/").includes("..") ? undefined : text;

/** Options of the process and its HTTP server: one value for the whole app. */
export const appOptions = {
  port: row(integer({ placeholder: "<port>", min: 0, max: 65_535 }), {
    default: 3000,
    text: "Port of the HTTP server; 0 takes a free one.",
  }),
  host: row(words("an address or a host name", "<address>"), {
    default: "0.0.0.0",
    text: "Address the server listens on. The default is every interface; 127.0.0.1 is this machine alone.",
  }),
  adminPort: row(orWord("none", integer({ placeholder: "<port>", min: 0, max: 65_535 })), {
    default: "none",
    settle: (value) => (value === "none" ? undefined : value),
    text: "Port of a second HTTP server, in the supervisor: probes, metrics, /docs and /openapi.json are answered there and no longer on the port of the apis; 0 takes a free port.",
  }),
  adminHost: row(addressOr("the value of host"), {
    default: "",
    defaultText: "the value of host",
    settle: (value, read): string => (value === "" ? read("host").value : value),
    text: "Address that the server on adminPort listens on. Kubernetes and Prometheus call it by the address of the pod; 127.0.0.1 is this machine alone.",
  }),
  ...edgeOptions,
  drainTimeoutMs: row(milliseconds(0), {
    default: 30_000,
    text: "Longest time a drain waits for calls in flight; then it cancels the rest.",
  }),
  shutdownDelayMs: row(milliseconds(0), {
    default: 0,
    text: "Time after SIGTERM in which the server still serves requests while /readyz already answers 503, so that load balancers stop sending first; then the drain begins. Ctrl-C does not wait.",
  }),
  exitAfterMs: row(milliseconds(0), {
    default: 120_000,
    text: "Longest time without a ready replica of the entry service while none is being started; then the app ends with exit code 1, so that its process manager can act. 0 is never.",
  }),
  validate: row(choice(["all", "boundary"]), {
    default: "all",
    text: 'Calls that are checked against their contract: "all", or "boundary" for those from HTTP or from another process.',
  }),
  logLevel: row(choice(["debug", "info", "warn", "error", "silent"]), {
    default: "info",
    text: "Lowest level of log lines that are written. EKIBEN_LOG is a short name of the variable.",
  }),
  inspect: row(inspectTargets, {
    default: [],
    text: "Replicas to debug, such as Model#0, or Model#0=9230 with a port. Each opens an inspector on 127.0.0.1, and limits of liveness, memory and start do not apply to it.",
  }),
  inspectWait: row(inspectTargets, {
    default: [],
    text: "Replicas to debug that wait for a debugger before they load the service; else the same as inspect.",
  }),
  gpus: row(deviceIds, {
    default: "auto",
    text: "Ids of the GPUs that replicas may be given; auto takes those of CUDA_VISIBLE_DEVICES, or all that the machine shows.",
  }),
  data: row(folder(".ekiben beside the app"), {
    default: "",
    defaultText: ".ekiben beside the app",
    text: "Folder of the app's own data: the SQLite store of its tasks, and their large inputs and results.",
  }),
  models: row(folder("~/.cache/ekiben/models"), {
    default: "",
    defaultText: "~/.cache/ekiben/models",
    text: "Folder of the files that services declare with model(): each is fetched once for all apps that use the folder. XDG_CACHE_HOME takes the place of ~/.cache.",
  }),
  /** Durable tasks: their store and how long they are kept. */
  tasks: {
    store: row(storeUrl, {
      default: "sqlite",
      text: "Store of durable tasks: a SQLite file in the data folder, or a PostgreSQL database, which several machines may share.",
    }),
    namespace: row(namespace("the app's own"), {
      default: "",
      defaultText: "the app's own",
      text: "Namespace of the app's tasks: programs with different namespaces never run or see each other's tasks in a shared store. The app's own is made of the name in package.json, the service file and the entry service.",
    }),
    maxConnections: row(integer({ min: 1, max: 100 }), {
      default: 4,
      text: "Connections of one process to PostgreSQL, besides one that listens.",
    }),
    keepHeaders: row(headerNames, {
      default: [],
      text: "Headers of the request that are stored with a task; the task and every service below it see no others. Never name one that holds a password, such as authorization or cookie, unless the store may hold it.",
    }),
    keyScope: row(fieldPaths, {
      default: [],
      defaultText: "the whole context",
      text: "Fields of the value of `context` that say who submits a task, such as user or claims.tenant: only the same requester finds a task again by its key. Name them where another part of the value changes from request to request. exp, iat, jti and the like of a token's claims never count.",
    }),
    retentionMs: row(integer({ unit: "ms", placeholder: "<ms>", min: 0 }), {
      default: 7 * 24 * 3_600_000,
      text: "Time an ended task is kept, with its result.",
    }),
    schedules: row(bool, {
      default: true,
      text: "Submits tasks by their schedules (every, cron). Set it to false in a copy of the app that must not. A copy with the same store and namespace still runs tasks that others submit.",
    }),
    leaseMs: row(milliseconds(100), {
      default: 45_000,
      text: "Longest time a replica keeps a task without renewing its lease; then another replica starts the task again. A killed replica renews nothing, nor does one whose event loop is blocked.",
    }),
  },
  /** Settings of the HTTP server. */
  http: httpOptions,
};

/** Options of a service. Set for the whole app, they are the default of every service. */
export const serviceOptions = {
  name: row(words("a name without spaces", "<name>"), {
    default: "",
    defaultText: "the class's name",
    sources: ["service"],
    text: "Name of the service in the graph, in logs, metrics and options.",
  }),
  version: row(words("a text without spaces", "<text>"), {
    default: "0",
    sources: codeSources,
    text: "Version of the service, shown in /schema.json and OpenAPI.",
  }),
  description: row(anyText, {
    default: "",
    sources: codeSources,
    text: "Description of the service, for OpenAPI and /docs.",
  }),
  labels: row(textRecord, {
    default: {},
    sources: codeSources,
    text: "Names and texts of your own, shown by `ekiben graph --format json`.",
  }),
  placement: row(choice(["inline", "thread", "process"]), {
    default: "process",
    text: "Home of each replica: a process of its own, a worker thread of the server's process, or inline, in the process and thread of its caller.",
  }),
  at: row(remoteAddresses, {
    default: [],
    sources: outsideSources,
    defaultText: "here",
    text: "Addresses of the service where it runs elsewhere, in another app (`ekiben serve --service`, or with listen): it is called there and not started here. Several addresses, and several that a name stands for, are replicas.",
  }),
  group: row(orWord("none", words("a name without spaces", "<name>")), {
    default: "none",
    text: "Group whose services share processes: replica 0 of each lives in one process, replica 1 of each in another. Calls between them cost as little as inline calls. Each service keeps its own limits, metrics and restarts; a crash ends all replicas in the process.",
  }),
  replicas: row(replicaRange, {
    default: { min: 1, max: 1, targetInFlight: 8 },
    text: "Number of replicas. A range grows and shrinks with the load: one replica for every targetInFlight calls in flight.",
  }),
  /** Resources of each replica. */
  resources: {
    cpu: row(cores, {
      default: 1,
      text: "Cores of one replica: the number of threads for model runtimes (OMP_NUM_THREADS and the like, ctx.resources.cpuThreads).",
    }),
    memory: row(size(1, true), {
      default: Number.POSITIVE_INFINITY,
      text: "Limit of the JavaScript heap of one replica. A replica in a process of its own is also drained and replaced when its resident memory is larger.",
    }),
    gpu: row(devices, {
      default: 0,
      text: "GPUs of one replica, assigned as device ids (CUDA_VISIBLE_DEVICES, ctx.resources.gpus); a fraction shares one GPU.",
    }),
    gpuType: row(anyText, { default: "", text: "Type of GPU that the service needs." }),
  },
  /** Settings of `ekiben build`. */
  build: {
    assets: row(listOf('patterns of files in the project such as "models/**"', "pattern", readPattern), {
      default: [],
      sources: codeSources,
      text: "Files that come along in the service's folder when it is built, as patterns relative to the folder of package.json: `models/**`. Files that code finds by its own place come along by themselves.",
    }),
  },
  startTimeoutMs: row(milliseconds(1), {
    default: 300_000,
    text: "Longest time start() of a replica may take; then the start has failed.",
  }),
  waitForReplicaMs: row(milliseconds(0), {
    default: 5000,
    text: "Longest time a call waits for a replica that is being started while none is ready; then it fails with no_ready_replica.",
  }),
  /** Checks that the event loop of each replica runs. */
  liveness: {
    intervalMs: row(milliseconds(10), {
      default: 1000,
      text: "Time between two checks that the event loop of a replica runs.",
    }),
    suspendAfterMs: row(milliseconds(10), {
      default: 5000,
      text: "Silence after which a replica gets no new calls until it answers a check again.",
    }),
    replaceAfterMs: row(milliseconds(10), {
      default: 30_000,
      text: "Silence after which a replica is killed and replaced; never less than three times its longest recent run of code without a pause.",
    }),
    warmUpMs: row(orWord("auto", milliseconds(10)), {
      default: "auto",
      settle: (value, read): number => {
        const replaceAfter = read("liveness.replaceAfterMs");
        if (value !== "auto") return value;
        return replaceAfter.source === "default" ? read("startTimeoutMs").value : replaceAfter.value;
      },
      text: "Silence allowed in the first run of an api, in which models are compiled, before a replica is suspended and replaced; auto is startTimeoutMs, or liveness.replaceAfterMs if that is set.",
    }),
  },
  /** Restarts of replicas that ended. */
  restart: {
    backoffMs: row(milliseconds(1), {
      default: 100,
      text: "Wait before the second restart in a row; it doubles with each further one. The first restart is at once.",
    }),
    maxBackoffMs: row(milliseconds(1), { default: 10_000, text: "Longest wait before a restart." }),
    resetAfterMs: row(milliseconds(100), {
      default: 10_000,
      text: "Time after which a ready replica counts as healthy: the wait and the count of restart.giveUpAfter start from zero again.",
    }),
    giveUpAfter: row(integer({ min: 0 }), {
      default: 8,
      text: "Failed starts or early ends in a row after which a replica counts as down. It is then restarted only every restart.slowBackoffMs, and calls to a service with all replicas down fail at once. 0 is never.",
    }),
    slowBackoffMs: row(milliseconds(1), {
      default: 30_000,
      text: "Wait before each restart of a replica that is down, plus up to a quarter; never shorter than restart.maxBackoffMs.",
    }),
  },
  env: row(variables, {
    default: {},
    sources: codeSources,
    text: 'Environment variables of the replicas: texts, or secret("NAME"). The strongest source gives all of them; sources are not merged.',
  }),
};

/** Options of an api. Set for a service or for the whole app, they are the default of every api below. */
export const apiOptions = {
  timeoutMs: row(milliseconds(1), {
    default: 60_000,
    defaultsOf: { task: 3_600_000, stream: Number.POSITIVE_INFINITY },
    isWeakAppWide: true,
    text: "Longest time of a call, waiting included; over HTTP it is the deadline of the request. For a task it limits one attempt. An api that takes or yields a stream has no limit unless this is set for the api or its service. A value for the whole app is only the default of apis that are neither streams nor tasks and have no value in code.",
  }),
  maxConcurrent: row(integer({ min: 1 }), {
    default: 256,
    defaultsOf: { task: 1 },
    text: "Calls, or attempts of a task, that run at once in one replica; more wait.",
  }),
  maxQueued: row(integer({ min: 0 }), {
    default: 16_384,
    text: "Calls that may wait in one replica, however long; one more is refused with 429.",
  }),
  idempotent: row(bool, {
    default: false,
    sources: ["app file", "api"],
    text: "True when running the api twice for one call does no harm: a lost call may then be retried, and a failed task too.",
  }),
  attempts: row(integer({ min: 1, max: 1000 }), {
    default: 3,
    text: "Most attempts of a task: another one follows when its replica was lost and, if the task is idempotent, when it failed.",
  }),
  retryBackoffMs: row(milliseconds(1), {
    default: 1000,
    text: "Wait of a failed task before its next attempt; doubles with each attempt.",
  }),
};

/** Options of an api whose contract has `batch`. */
export const batchOptions = {
  /** Joins calls of an api into batches. Read for apis whose contract has `batch`. */
  batch: {
    maxRows: row(integer({ min: 1 }), {
      default: 64,
      text: "Most rows in one batch, never exceeded; a call with more rows runs in several batches.",
    }),
    targetLatencyMs: row(orWord("none", milliseconds(1)), {
      default: "none",
      settle: (value) => (value === "none" ? Number.POSITIVE_INFINITY : value),
      text: "Time in which the first call of a batch should be answered: limits both the size of batches and the wait for more calls.",
    }),
    windowMs: row(orWord("auto", milliseconds(0)), {
      default: "auto",
      settle: (value) => (value === "auto" ? undefined : value),
      text: "Time the first call of a batch waits for others, unless maxRows are there earlier; auto waits as long as the measured cost of batches makes it pay.",
    }),
    maxConcurrent: row(integer({ min: 1 }), {
      default: 1,
      text: "Batches of an api that run at once in one replica; meanwhile the next batch gathers rows.",
    }),
  },
};

/** Options of an api whose contract has `cache`. */
export const cacheOptions = {
  /** Keeps answers of an api. Read for apis whose contract has `cache`. */
  cache: {
    ttlMs: row(milliseconds(0), {
      default: 60_000,
      text: "Time for which a replica keeps an answer; 0 keeps none, and equal calls in flight are still one call.",
    }),
    maxEntries: row(integer({ min: 1, max: 1_000_000 }), {
      default: 10_000,
      text: "Most answers that one api keeps in one replica; the one that was not asked for the longest goes first.",
    }),
    maxBytes: row(size(1), {
      default: 64 * 1024 ** 2,
      text: "Most bytes that one api keeps in one replica, about as much as its answers take in memory; a larger answer is not kept.",
    }),
  },
};

/** Every option by name. */
export const options: ReadonlyMap<string, Option<any>> = new Map(
  [
    listOptions("app", appOptions),
    listOptions("service", serviceOptions),
    listOptions("api", { ...apiOptions, ...batchOptions, ...cacheOptions }),
  ]
    .flat()
    .map((option) => [option.name, option]),
);

/** Former names of options and their names now. A former name is a fault whose fix gives the new one. */
export const formerNames: ReadonlyMap<string, string> = new Map([
  ["checks", "validate"],
  ["holdMs", "waitForReplicaMs"],
  ["liveness.outAfterMs", "liveness.suspendAfterMs"],
]);

/** Names that hold options as fields: `http: { maxBodyBytes }`. */
export const optionGroups: readonly string[] = [
  ...new Set([...options.keys()].filter((name) => name.includes(".")).map((name) => name.split(".")[0] as string)),
];

/** Fields of a contract that are not options. */
export const contractFields: readonly string[] = [
  ...["input", "output", "yields", "route", "status", "summary", "examples", "cache.key"],
  ...["every", "cron", "timeZone", "scheduleInput"],
];
