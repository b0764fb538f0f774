import { namePattern } from "../base/name-pattern.js";
import type { GraphFault } from "../failure/failures.js";
import {
  type Candidate,
  type DeclaredOptions,
  type DeclaredService,
  type LoadedAppFile,
  OptionReader,
  readAppFile,
} from "./option-reader.js";
import {
  apiOptions,
  appOptions,
  batchOptions,
  contractFields,
  options,
  serviceOptions,
  type ValueOf,
} from "./options.js";
import { pickNearest } from "./pick-nearest.js";
import type {
  ApiSettings,
  AppSettings,
  BatchSettings,
  ServerSettings,
  ServiceSettings,
  TaskSettings,
} from "./settings.js";
import { flagOf, type Option, type SourceKind, type SpecialKind, sourceKinds, variableOf } from "./value-types.js";

/** Where options come from besides what authors declared. */
export interface OptionSources {
  /** Option name → value, text or an array of texts where the flag was repeated: `{ replicas: ["Model=4"] }`. */
  readonly flags: Readonly<Record<string, unknown>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly appFile?: LoadedAppFile;
}

/** One option as it was decided, and which source won. */
export interface OptionReport {
  readonly option: string;
  /** Absent for options of the whole app. */
  readonly service?: string;
  /** Absent for options of the whole app or of a service. */
  readonly api?: string;
  /** Of an option that may hold a password only what may be shown. */
  readonly value: unknown;
  readonly source: SourceKind;
  /** The place itself: `"--port"`, `"EKIBEN_PORT"`, `"ekiben.config.ts services.Model.replicas"`, `"Service() of Model"`. */
  readonly where: string;
}

/** Every option decided, and what was wrong on the way. */
export interface ResolvedOptions {
  /** Complete even when there are faults: a value that can't be used is left out. */
  readonly settings: AppSettings;
  /** The app's options first, then those of each service and its apis. */
  readonly report: readonly OptionReport[];
  /** Everything that is wrong, found at once. The app must not start when there are any. */
  readonly faults: readonly GraphFault[];
  /** What has no effect, or looks like a slip. */
  readonly warnings: readonly GraphFault[];
}

/**
 * Decides every option: command line, environment, app file, api, service, default; the first that says anything wins.
 * Within one source the narrower place wins (an api before its service, a service before the app), then the later one.
 */
export function resolveOptions(declared: DeclaredOptions, sources: OptionSources): ResolvedOptions {
  const reader = new OptionReader(declared);
  readFlags(reader, sources.flags);
  readEnvironment(reader, sources.env);
  if (sources.appFile !== undefined) readAppFile(reader, sources.appFile);
  readDeclared(reader);
  const decision = new Decision(reader.candidates);
  const app = decision.decideAll(appOptions, {});
  const services = declared.services.map(({ name, apis }): [string, ServiceSettings] => {
    const values = decision.decideAll(serviceOptions, { service: name });
    const isPatient = decision.whereOf("liveness.replaceAfterMs") === "default";
    const decided = apis.map(({ name: api, options, kind }): [string, ApiSettings] => {
      const at = { service: name, api };
      const bounds = { ...decision.decideAll(apiOptions, at, kind), timeoutFrom: decision.whereOf("timeoutMs") };
      return [api, isBatched(options) ? { ...bounds, batch: toBatch(decision.decideAll(batchOptions, at)) } : bounds];
    });
    return [name, toService(values, new Map(decided), isPatient)];
  });
  return {
    settings: { server: toServer(app), gpus: app.gpus, tasks: toTasks(app), services: new Map(services) },
    report: decision.report,
    faults: reader.faults,
    warnings: reader.warnings,
  };
}

type Table = Readonly<Record<string, Option<any>>>;
type Values<T extends Table> = { readonly [K in keyof T]: ValueOf<T[K]> };

/** What is decided for: the app, a service, or an api. */
interface Place {
  readonly service?: string;
  readonly api?: string;
}

/** Picks winners among candidates and remembers them. */
class Decision {
  readonly report: OptionReport[] = [];
  readonly #ranked: readonly Candidate[];

  constructor(candidates: readonly Candidate[]) {
    // Sorting is stable, so that of equals the later one comes first once the list is turned round.
    this.#ranked = [...candidates].reverse().sort((a, b) => rankOf(a) - rankOf(b) || widthOf(a) - widthOf(b));
  }

  decideAll<T extends Table>(table: T, at: Place, kind?: SpecialKind): Values<T> {
    const decided = Object.entries(table).map(([name, option]) => [name, this.#decide(option, at, kind)]);
    return Object.fromEntries(decided) as Values<T>;
  }

  /** The place of the last value that was decided of an option. */
  whereOf(name: string): string {
    return this.report.findLast(({ option }) => option === name)?.where ?? "default";
  }

  #decide(option: Option<any>, at: Place, kind: SpecialKind | undefined): unknown {
    const winner = this.#ranked.find(
      (candidate) =>
        candidate.option === option &&
        (option.level === "app" || candidate.service === "" || candidate.service === at.service) &&
        (candidate.api === "" || candidate.api === at.api),
    );
    const own = (kind && option.defaultsOf?.[kind]) ?? option.default;
    const fallback = option === serviceOptions.name ? at.service : own;
    const { value, source, where } = winner ?? { value: fallback, source: "default" as const, where: "default" };
    const shown = option.type.isSecret === true ? option.type.format(value) : value;
    this.report.push({ option: option.name, ...at, value: shown, source, where });
    return value;
  }
}

const rankOf = ({ source }: Candidate): number => sourceKinds.indexOf(source);
const widthOf = ({ service, api }: Candidate): number => (service === "" ? 2 : api === "" ? 1 : 0);

const isBatched = (contract: Readonly<Record<string, unknown>>): boolean => contract["batch"] !== undefined;

function toBatch(values: Values<typeof batchOptions>): BatchSettings {
  const { "batch.targetLatencyMs": target, "batch.windowMs": window } = values;
  return {
    maxRows: values["batch.maxRows"],
    targetLatencyMs: target === "none" ? Number.POSITIVE_INFINITY : target,
    windowMs: window === "auto" ? undefined : window,
    maxConcurrent: values["batch.maxConcurrent"],
  };
}

function toServer(values: Values<typeof appOptions>): ServerSettings {
  const { host, port, drainTimeoutMs, shutdownDelayMs, exitAfterMs, checks, logLevel } = values;
  return {
    host,
    port,
    drainTimeoutMs,
    shutdownDelayMs,
    exitAfterMs,
    checks,
    logLevel,
    http: {
      cors: values["http.cors"],
      maxBodyBytes: values["http.maxBodyBytes"],
      maxBodyDepth: values["http.maxBodyDepth"],
      maxBodyValues: values["http.maxBodyValues"],
      maxHeaderBytes: values["http.maxHeaderBytes"],
      bodyTimeoutMs: values["http.bodyTimeoutMs"],
      streamIdleMs: values["http.streamIdleMs"],
      heartbeatMs: values["http.heartbeatMs"],
      keepAliveMs: values["http.keepAliveMs"],
      maxConnections: values["http.maxConnections"],
      accessLog: values["http.accessLog"],
    },
  };
}

function toTasks(values: Values<typeof appOptions>): TaskSettings {
  return {
    data: values.data,
    store: values["tasks.store"],
    namespace: values["tasks.namespace"],
    maxConnections: values["tasks.maxConnections"],
    retentionMs: values["tasks.retentionMs"],
    leaseMs: values["tasks.leaseMs"],
  };
}

/** @param isPatient Nobody has said how long a replica may be silent. */
function toService(
  values: Values<typeof serviceOptions>,
  apis: ReadonlyMap<string, ApiSettings>,
  isPatient: boolean,
): ServiceSettings {
  const { "liveness.warmUpMs": warmUp, "liveness.replaceAfterMs": replaceAfterMs } = values;
  const { version, description, labels, placement, group, replicas, startTimeoutMs, holdMs, env } = values;
  return {
    version,
    description,
    labels,
    placement,
    group,
    replicas,
    resources: {
      cpu: values["resources.cpu"],
      memoryBytes: values["resources.memory"],
      gpu: values["resources.gpu"],
      gpuType: values["resources.gpuType"],
    },
    startTimeoutMs,
    holdMs,
    liveness: {
      intervalMs: values["liveness.intervalMs"],
      outAfterMs: values["liveness.outAfterMs"],
      replaceAfterMs,
      warmUpMs: warmUp === "auto" ? (isPatient ? startTimeoutMs : replaceAfterMs) : warmUp,
    },
    restart: {
      backoffMs: values["restart.backoffMs"],
      maxBackoffMs: values["restart.maxBackoffMs"],
      resetAfterMs: values["restart.resetAfterMs"],
      giveUpAfter: values["restart.giveUpAfter"],
      slowBackoffMs: values["restart.slowBackoffMs"],
    },
    env,
    apis,
  };
}

/** Reads what authors said in `Service()` and in contracts. */
function readDeclared(reader: OptionReader): void {
  const { entry, services } = reader.declared;
  for (const service of services) {
    const at = { service: service.name, api: "", source: "service", where: `Service() of ${service.name}` } as const;
    if (service.name === entry) reader.offerFields(service.options, at);
    else {
      reader.offerFields(service.options, at, ["http"]);
      if (service.options["http"] !== undefined) {
        reader.addWarning("unused_option", { option: "http", source: at.where, entry }, { ...at, name: "http" });
      }
    }
    readContracts(reader, service);
  }
}

function readContracts(reader: OptionReader, service: DeclaredService): void {
  for (const { name: api, options: contract } of service.apis) {
    const where = `api() of ${service.name}.${api}`;
    const at = { service: service.name, api, source: "api", where } as const;
    reader.offerFields(contract, at, contractFields);
  }
}

/**
 * Reads flags: option name → what was given, several where a flag was repeated.
 * Text is read as text; anything else as a value from code, for programs that pass flags on.
 */
function readFlags(reader: OptionReader, flags: Readonly<Record<string, unknown>>): void {
  for (const [name, given] of Object.entries(flags)) {
    const option = options.get(name);
    const at = { source: "command line", where: `--${option === undefined ? name : flagOf(option)}` } as const;
    for (const value of Array.isArray(given) ? given : [given]) {
      if (typeof value === "string") offerText(reader, { ...at, name, text: value });
      else reader.offer({ ...at, service: "", api: "", name, value });
    }
  }
}

/** Reads `EKIBEN_…` variables. An empty one is not set. */
function readEnvironment(reader: OptionReader, env: Readonly<Record<string, string | undefined>>): void {
  const variables = new Map([...options.values()].map((option) => [variableOf(option), option]));
  const known = [...variables].filter(([, { sources }]) => sources.includes("environment")).map(([name]) => name);
  for (const [variable, text] of Object.entries(env)) {
    if (!variable.startsWith("EKIBEN_") || text === undefined || text === "" || isServiceLink(variable, text)) continue;
    const option = variables.get(variable);
    if (option !== undefined) {
      offerText(reader, { source: "environment", where: variable, name: option.name, text });
    } else {
      const details = { variable, nearest: pickNearest(variable, known) };
      reader.addWarning("unknown_variable", details, { service: "", api: "", name: variable });
    }
  }
}

/** Kubernetes gives every pod such variables for a Service that is named ekiben: `EKIBEN_PORT=tcp://10.0.0.1:3000`. */
function isServiceLink(variable: string, text: string): boolean {
  return /^EKIBEN_(SERVICE_(HOST|PORT)|PORT_\d+_)/.test(variable) || /^(tcp|udp|sctp):\/\//.test(text);
}

const nextTarget = new RegExp(`,(?=${namePattern}(?:\\.${namePattern})?=)`, "u");
const targetAndValue = new RegExp(`^(?:(${namePattern})(?:\\.(${namePattern}))?=)?(.*)$`, "su");

interface Text {
  readonly source: "command line" | "environment";
  readonly where: string;
  readonly name: string;
  readonly text: string;
}

/** `"4"` is for every service, `"Model=4"` for one, `"Model.predict=4"` for one api; commas join several. */
function offerText(reader: OptionReader, { text, ...place }: Text): void {
  if (options.get(place.name)?.level === "app") {
    reader.offer({ ...place, service: "", api: "", value: text, isText: true });
    return;
  }
  for (const part of text.split(nextTarget)) {
    const [, service = "", api = "", value] = targetAndValue.exec(part) ?? [];
    reader.offer({ ...place, service, api, value, isText: true });
  }
}
