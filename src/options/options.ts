import {
  anyText,
  bool,
  choice,
  cores,
  deviceIds,
  devices,
  folder,
  integer,
  milliseconds,
  namespace,
  type Option,
  origins,
  orWord,
  replicaRange,
  type SourceKind,
  type SpecialKind,
  size,
  storeUrl,
  textRecord,
  type ValueType,
  words,
} from "./value-types.js";

/** The option's value once decided. */
export type ValueOf<O> = O extends Option<infer T> ? T : never;

interface RowText<T> {
  readonly default: NoInfer<T>;
  readonly defaultsOf?: { readonly [K in SpecialKind]?: NoInfer<T> };
  readonly defaultText?: string;
  readonly text: string;
  /** Where it may be set; default: everywhere its table allows. */
  readonly sources?: readonly SourceKind[];
}

type Row<T> = (level: Option["level"], name: string) => Option<T>;

const outside: readonly SourceKind[] = ["command line", "environment", "app file"];
const sourcesByLevel: Readonly<Record<Option["level"], readonly SourceKind[]>> = {
  app: outside,
  service: [...outside, "service"],
  api: [...outside, "api", "service"],
};

const row =
  <T>(type: ValueType<T>, rest: RowText<T>): Row<T> =>
  (level, name) => ({ name, level, type, sources: sourcesByLevel[level], ...rest });

function createTable<R extends Record<string, Row<any>>>(level: Option["level"], rows: R) {
  const named = Object.entries(rows).map(([name, create]) => [name, create(level, name)]);
  return Object.freeze(Object.fromEntries(named)) as { readonly [K in keyof R]: ReturnType<R[K]> };
}

const inEntry: readonly SourceKind[] = [...outside, "service"];
const inCode: readonly SourceKind[] = ["app file", "service"];

/** Options of the process and its HTTP server: one value an app. */
export const appOptions = createTable("app", {
  port: row(integer({ placeholder: "<port>", min: 0, max: 65_535 }), {
    default: 3000,
    text: "Port of the HTTP server; 0 takes a free one.",
  }),
  host: row(words("an address or a host name", "<address>"), {
    default: "0.0.0.0",
    text: "Address the server listens on. The default is every interface; 127.0.0.1 is this machine alone.",
  }),
  drainTimeoutMs: row(milliseconds(0), {
    default: 30_000,
    text: "How long a drain waits for calls in flight before it cancels what is left.",
  }),
  shutdownDelayMs: row(milliseconds(0), {
    default: 0,
    text: "After SIGTERM, how long the port stays open and requests are served while /readyz already says 503, so that load balancers leave first; then the drain begins. Ctrl-C does not wait.",
  }),
  exitAfterMs: row(milliseconds(0), {
    default: 120_000,
    text: "When no replica of the entry service has been ready for so long, and none is being started, the app ends with exit code 1, so that whatever runs it can act; 0 is never.",
  }),
  checks: row(choice(["all", "outside"]), {
    default: "all",
    text: 'Which calls are checked against their contract: "all", or "outside" for those from HTTP or another process.',
  }),
  logLevel: row(choice(["debug", "info", "warn", "error", "silent"]), {
    default: "info",
    text: "The least important log line that is written.",
  }),
  gpus: row(deviceIds, {
    default: "auto",
    text: "Ids of the GPUs that replicas may be given; auto takes those of CUDA_VISIBLE_DEVICES, or all the machine shows.",
  }),
  data: row(folder(".ekiben beside the app"), {
    default: "",
    defaultText: ".ekiben beside the app",
    text: "Folder of what an app keeps: the SQLite store of its tasks, and their large inputs and results.",
  }),
  "tasks.store": row(storeUrl, {
    default: "sqlite",
    text: "Where durable tasks are kept: in the data folder, or in a PostgreSQL database, which several machines may share.",
  }),
  "tasks.namespace": row(namespace("the app's own"), {
    default: "",
    defaultText: "the app's own",
    text: "Whose tasks are whose in a store: programs with different namespaces never run or see each other's tasks. By default made of the name in package.json, the service file and the entry service.",
  }),
  "tasks.maxConnections": row(integer({ min: 1, max: 100 }), {
    default: 4,
    text: "Connections of one process to PostgreSQL, besides one that listens.",
  }),
  "tasks.retentionMs": row(integer({ unit: "ms", placeholder: "<ms>", min: 0 }), {
    default: 7 * 24 * 3_600_000,
    text: "How long a task that has ended is kept, with its result.",
  }),
  "tasks.leaseMs": row(milliseconds(100), {
    default: 45_000,
    text: "How long a replica has a task without saying that it still runs it; then another begins it again. A replica that is killed says nothing, nor does one whose event loop is blocked.",
  }),
  "http.cors": row(origins, {
    default: false,
    sources: inEntry,
    text: "Origins whose pages may call the apis from a browser.",
  }),
  "http.maxBodyBytes": row(size(1), {
    default: 16 * 1024 ** 2,
    sources: inEntry,
    text: "Largest request body, or largest item of one that is a stream; a larger one is refused with 413.",
  }),
  "http.maxBodyDepth": row(integer({ min: 1, max: 1000 }), {
    default: 64,
    sources: inEntry,
    text: "Levels of nesting a JSON body may have.",
  }),
  "http.maxBodyValues": row(integer({ min: 1, max: 100_000_000 }), {
    default: 1_000_000,
    sources: inEntry,
    text: "Numbers, texts, lists and objects that a JSON body, or an item of one that is a stream, may hold; more are refused with 413.",
  }),
  "http.maxHeaderBytes": row(size(1024), {
    default: 16 * 1024,
    sources: inEntry,
    text: "Largest sum of request headers; larger ones are refused with 431.",
  }),
  "http.bodyTimeoutMs": row(milliseconds(1), {
    default: 10_000,
    sources: inEntry,
    text: "From the end of the headers to the first byte of the body, and again to its last.",
  }),
  "http.streamIdleMs": row(milliseconds(0), {
    default: 60_000,
    sources: inEntry,
    text: "A stream on which nothing moves for so long, in either direction, ends with stream_idle; 0 for no limit.",
  }),
  "http.heartbeatMs": row(milliseconds(0), {
    default: 15_000,
    sources: inEntry,
    text: "How long a stream of events or lines may be silent before a line without meaning is sent, for proxies; 0 for never.",
  }),
  "http.keepAliveMs": row(milliseconds(1000), {
    default: 72_000,
    sources: inEntry,
    text: "How long a connection may be idle between two requests. A balancer in front must let go of it earlier: give this more than its own idle time.",
  }),
  "http.maxConnections": row(integer({ min: 1 }), {
    default: 10_000,
    sources: inEntry,
    text: "Open connections. For one more, the one that is idle for the longest time is closed; where none is, only probes are answered.",
  }),
  "http.accessLog": row(bool, { default: true, sources: inEntry, text: "One log line a request." }),
});

/** Options of a service. Set for the whole app, they hold for every service. */
export const serviceOptions = createTable("service", {
  name: row(words("a name without spaces", "<name>"), {
    default: "",
    defaultText: "the class's name",
    sources: ["service"],
    text: "Name of the service in the graph, in logs, metrics and options.",
  }),
  version: row(words("a text without spaces", "<text>"), {
    default: "0",
    sources: inCode,
    text: "Version of the service, shown in /schema.json and OpenAPI.",
  }),
  description: row(anyText, { default: "", sources: inCode, text: "What the service does, for OpenAPI and /docs." }),
  labels: row(textRecord, {
    default: {},
    sources: inCode,
    text: "Names and texts of your own, shown by `ekiben graph --format json`.",
  }),
  placement: row(choice(["inline", "thread", "process"]), {
    default: "process",
    text: "Where replicas live: in a process of their own, in a worker thread of the server's process, or inline, in the process and thread of whoever calls them.",
  }),
  group: row(orWord("none", words("a name without spaces", "<name>")), {
    default: "none",
    text: "Services of one group share processes: replica 0 of each lives in one, replica 1 of each in another. Calls between them cost what inline calls cost; each has its own bounds, metrics and restarts, and a crash ends all that share the process.",
  }),
  replicas: row(replicaRange, {
    default: { min: 1, max: 1, targetInFlight: 8 },
    text: "How many replicas run. Of a range, as many as the load needs: one for every targetInFlight calls in flight.",
  }),
  "resources.cpu": row(cores, {
    default: 1,
    text: "Cores of one replica: the threads model runtimes are given (OMP_NUM_THREADS and the like, ctx.resources.cpuThreads).",
  }),
  "resources.memory": row(size(1, true), {
    default: Number.POSITIVE_INFINITY,
    text: "Bounds the JavaScript heap of one replica; one in a process of its own is drained and replaced when its resident memory is larger.",
  }),
  "resources.gpu": row(devices, {
    default: 0,
    text: "GPUs of one replica, handed out as device ids (CUDA_VISIBLE_DEVICES, ctx.resources.gpus); with a fraction, replicas share one.",
  }),
  "resources.gpuType": row(anyText, { default: "", text: "Type of GPU that the service needs." }),
  startTimeoutMs: row(milliseconds(1), {
    default: 300_000,
    text: "How long start() of a replica may take; then the start has failed.",
  }),
  holdMs: row(milliseconds(0), {
    default: 5000,
    text: "How long a call waits while no replica is ready but one is being started; then it fails with no_ready_replica.",
  }),
  "liveness.intervalMs": row(milliseconds(10), {
    default: 1000,
    text: "How often a replica is asked whether its event loop turns.",
  }),
  "liveness.outAfterMs": row(milliseconds(10), {
    default: 5000,
    text: "A replica that has not answered for so long gets no new calls until it answers.",
  }),
  "liveness.replaceAfterMs": row(milliseconds(10), {
    default: 30_000,
    text: "A replica that has not answered for so long, and for three times its longest run of late, is killed and replaced.",
  }),
  "liveness.warmUpMs": row(orWord("auto", milliseconds(10)), {
    default: "auto",
    text: "How long a replica may be silent in the first run of an api, in which models are compiled, before it is passed over and replaced: auto is startTimeoutMs, or liveness.replaceAfterMs where that was set.",
  }),
  "restart.backoffMs": row(milliseconds(1), {
    default: 100,
    text: "The first restart is at once, the second waits for so long, each one after that twice as long as the one before.",
  }),
  "restart.maxBackoffMs": row(milliseconds(1), {
    default: 10_000,
    text: "The longest wait before a restart.",
  }),
  "restart.resetAfterMs": row(milliseconds(100), {
    default: 10_000,
    text: "A replica that was ready for so long counts as healthy: waits and the count of restart.giveUpAfter begin anew.",
  }),
  "restart.giveUpAfter": row(integer({ min: 0 }), {
    default: 8,
    text: "After so many short lives or failed starts in a row a replica counts as down: it is started again only each restart.slowBackoffMs, and calls of a service all of whose replicas are down fail at once. 0 is never.",
  }),
  "restart.slowBackoffMs": row(milliseconds(1), {
    default: 30_000,
    text: "The wait before each restart of a replica that is down, and up to a quarter more; never shorter than restart.maxBackoffMs.",
  }),
  env: row(textRecord, {
    default: {},
    sources: inCode,
    text: "Environment variables of the replicas. The strongest source gives all of them; sources are not joined.",
  }),
});

/** Options of an api. Set for a service or for the whole app, they hold for every api below. */
export const apiOptions = createTable("api", {
  timeoutMs: row(milliseconds(1), {
    default: 60_000,
    defaultsOf: { task: 3_600_000, stream: Number.POSITIVE_INFINITY },
    text: "Bounds a call, waiting included; at the edge it is the request's deadline. Of a task it bounds one attempt; an api that takes or yields a stream has none unless it is set.",
  }),
  maxConcurrent: row(integer({ min: 1 }), {
    default: 256,
    defaultsOf: { task: 1 },
    text: "Calls, or attempts of a task, that run at once in one replica; more wait.",
  }),
  maxQueued: row(integer({ min: 0 }), {
    default: 16_384,
    text: "Calls that may wait in one replica, whatever their wait; one more is refused with 429.",
  }),
  idempotent: row(bool, {
    default: false,
    sources: ["app file", "api"],
    text: "The api may be run twice for one call, so a lost call may be retried, and a task that failed.",
  }),
  attempts: row(integer({ min: 1, max: 1000 }), {
    default: 3,
    text: "How often a task is begun at most: again when its replica was lost, and, if it is idempotent, when it failed.",
  }),
  retryBackoffMs: row(milliseconds(1), {
    default: 1000,
    text: "How long a task that failed waits before it is begun again; doubles with each attempt.",
  }),
});

/** Options of an api whose contract says `batch`. */
export const batchOptions = createTable("api", {
  "batch.maxRows": row(integer({ min: 1 }), {
    default: 64,
    text: "Most rows that calls are joined into, of an api that batches; never exceeded.",
  }),
  "batch.targetLatencyMs": row(orWord("none", milliseconds(1)), {
    default: "none",
    text: "A batch is kept so small, and leaves so early, that its first call is answered in this time.",
  }),
  "batch.windowMs": row(orWord("auto", milliseconds(0)), {
    default: "auto",
    text: "How long the first call of a batch waits for others: auto, as long as pays; else always this long, until maxRows are there.",
  }),
  "batch.maxConcurrent": row(integer({ min: 1 }), {
    default: 1,
    text: "Batches of an api that run at once in one replica; more rows gather meanwhile.",
  }),
});

/** Every option, once, by name. */
export const options: ReadonlyMap<string, Option<any>> = new Map(
  [appOptions, serviceOptions, apiOptions, batchOptions]
    .flatMap((table): Option<any>[] => Object.values(table))
    .map((option) => [option.name, option]),
);

/** Names that hold options as fields: `http: { maxBodyBytes }`. */
export const optionGroups: readonly string[] = [
  ...new Set([...options.keys()].filter((name) => name.includes(".")).map((name) => name.split(".")[0] as string)),
];

/** What a contract says that is no option. */
export const contractFields: readonly string[] = ["input", "output", "yields", "route", "summary", "examples"];
