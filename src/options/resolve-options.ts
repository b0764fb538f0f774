import { namePattern } from "../base/name-pattern.js";
import type { GraphFault } from "../failure/failures.js";
import {
  type DecidedValue,
  flagOf,
  isRow,
  type Option,
  type OptionTable,
  type SourceKind,
  type SpecialKind,
  sourceKinds,
  variableOf,
} from "./option.js";
import {
  type Candidate,
  createFault,
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
  cacheOptions,
  contractFields,
  formerNames,
  options,
  serviceOptions,
} from "./options.js";
import { pickNearest } from "./pick-nearest.js";
import type { ApiSettings, AppSettings, ServiceSettings, SettingsOf } from "./settings.js";

/** Sources of options besides what authors declared. */
export interface OptionSources {
  /** Option name → value: a text, or an array of texts for a repeated flag: `{ replicas: ["Model=4"] }`. */
  readonly flags: Readonly<Record<string, unknown>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** File that has set some variables of `env`. */
  readonly envFile?: { readonly path: string; readonly variables: ReadonlySet<string> } | undefined;
  readonly appFile?: LoadedAppFile;
}

/** One option as it was decided, and the source that won. */
export interface OptionReport {
  readonly option: string;
  /** Absent for options of the whole app. */
  readonly service?: string;
  /** Absent for options of the whole app or of a service. */
  readonly api?: string;
  /** Decided value; a shortened text for an option that may hold a password. */
  readonly value: unknown;
  readonly source: SourceKind;
  /**
   * Position: `"--port"`, `"EKIBEN_PORT"`, `".env EKIBEN_PORT"`, `"ekiben.config.ts services.Model.replicas"`,
   * `"Service() of Model"`.
   */
  readonly where: string;
}

/** Every option decided, and everything that is wrong with its sources. */
export interface ResolvedOptions {
  /** Complete even with faults: an invalid value is ignored. */
  readonly settings: AppSettings;
  /** Options of the app first, then those of each service and its apis. */
  readonly report: readonly OptionReport[];
  /** Faults, found at once. The app must not start when there are any. */
  readonly faults: readonly GraphFault[];
  /** Values without effect, and likely typing errors. */
  readonly warnings: readonly GraphFault[];
  /** Values for the whole app that are weaker than code, with the apis that they do not apply to. */
  readonly notes: readonly GraphFault[];
}

/**
 * Decides every option. The strongest source that sets it wins: command line, environment, app file, api, service,
 * default. Within one source the narrower value wins (an api before its service, a service before the app), then the
 * later. Options with `isWeakAppWide` differ: for them a value for the whole app comes just before the default.
 */
export function resolveOptions(declared: DeclaredOptions, sources: OptionSources): ResolvedOptions {
  const reader = new OptionReader(declared);
  readFlags(reader, sources.flags);
  readEnvironment(reader, sources);
  if (sources.appFile !== undefined) readAppFile(reader, sources.appFile);
  readDeclared(reader);
  const resolver = new TableResolver(reader.candidates);
  const { gpus, data, tasks, http, ...others } = resolver.resolve(appOptions, {});
  const [bodyTimeoutMs = "", streamIdleMs = ""] = ["http.bodyTimeoutMs", "http.streamIdleMs"].map(
    (name) => resolver.lastOf(name).where,
  );
  const server = { ...others, http: { ...http, limitsFrom: { bodyTimeoutMs, streamIdleMs } } };
  const services = declared.services.map((service) => [service.name, resolveService(resolver, service)] as const);
  return {
    settings: { server, gpus, tasks: { data, ...tasks }, services: new Map(services) },
    report: resolver.report,
    faults: reader.faults,
    warnings: reader.warnings,
    notes: resolver.notes(),
  };
}

function resolveService(resolver: TableResolver, { name: service, apis }: DeclaredService): ServiceSettings {
  const { name: _, resources, ...settings } = resolver.resolve(serviceOptions, { service });
  const startTimeoutFrom = resolver.lastOf("startTimeoutMs").where;
  const { memory, ...others } = resources;
  const resolved = apis.map((api) => [api.name, resolveApi(resolver, service, api)] as const);
  return { ...settings, startTimeoutFrom, resources: { ...others, memoryBytes: memory }, apis: new Map(resolved) };
}

function resolveApi(resolver: TableResolver, service: string, api: DeclaredService["apis"][number]): ApiSettings {
  const owner = { service, api: api.name };
  const settings = resolver.resolve(apiOptions, owner, api.kind);
  const limits = { ...settings, timeoutFrom: resolver.lastOf("timeoutMs").where };
  const has = (group: string) => api.options[group] !== undefined;
  const batch = has("batch") ? resolver.resolve(batchOptions, owner) : undefined;
  return { ...limits, ...batch, ...(has("cache") ? resolver.resolve(cacheOptions, owner) : undefined) };
}

/** Owner of the options that are decided: the app (both fields absent), a service, or an api. */
interface Owner {
  readonly service?: string;
  readonly api?: string;
}

/** Decides the options of a table: picks the strongest candidate of each, and reports it. */
class TableResolver {
  readonly report: OptionReport[] = [];
  readonly #ranked: readonly Candidate[];
  /** Apis that values for the whole app do not apply to, each with the reason. */
  readonly #exempt = new Map<Candidate, string[]>();

  constructor(candidates: readonly Candidate[]) {
    // Sorting is stable: in the reversed list the later of two equals comes first.
    this.#ranked = [...candidates].reverse().sort((a, b) => rankOf(a) - rankOf(b) || widthOf(a) - widthOf(b));
  }

  /** Returns the settings of one owner, in the form of the table. @param group Name of the group and a dot, or `""`. */
  resolve<T extends OptionTable>(table: T, owner: Owner, kind?: SpecialKind, group = ""): SettingsOf<T> {
    const settings = Object.entries(table).map(([field, entry]) => {
      const name = `${group}${field}`;
      if (!isRow(entry)) return [field, this.resolve(entry, owner, kind, `${name}.`)];
      return [field, this.#decide(options.get(name) as Option, owner, kind)];
    });
    return Object.fromEntries(settings) as SettingsOf<T>;
  }

  /** Report on an option as it was decided last. */
  lastOf(name: string): OptionReport {
    return this.report.findLast(({ option }) => option === name) as OptionReport;
  }

  /** Lists the values for the whole app that are weaker than code or that apis of special kinds ignore. */
  notes(): GraphFault[] {
    return [...this.#exempt].map(([{ option, value, where }, exempt]) => {
      const details = { option: option.name, value: option.type.format(value), source: where, exempt };
      return createFault("weaker_option", details, { service: "", api: "", name: option.name });
    });
  }

  #decide(option: Option, owner: Owner, kind: SpecialKind | undefined): unknown {
    const winner = this.#pickWinner(option, owner, kind);
    if (option.isWeakAppWide === true) this.#noteExempt(option, owner, kind, winner);
    const { value, source, where } = winner ?? {
      value: defaultOf(option, owner, kind),
      source: "default" as const,
      where: "default",
    };
    const shown = option.type.isSecret === true ? option.type.format(value) : value;
    this.report.push({ option: option.name, ...owner, value: shown, source, where });
    return option.settle === undefined ? value : option.settle(value, (name): DecidedValue => this.lastOf(name));
  }

  #pickWinner(option: Option, owner: Owner, kind: SpecialKind | undefined): Candidate | undefined {
    return this.#ranked.find(
      (candidate) =>
        candidate.option === option &&
        (option.level === "app" || candidate.service === "" || candidate.service === owner.service) &&
        (candidate.api === "" || candidate.api === owner.api) &&
        (kind === undefined || !isWeak(candidate)),
    );
  }

  #noteExempt(
    option: Option,
    { service, api }: Owner,
    kind: SpecialKind | undefined,
    winner: Candidate | undefined,
  ): void {
    const weak = this.#ranked.find((candidate) => candidate.option === option && isWeak(candidate));
    if (weak === undefined || winner === weak || winner?.value === weak.value) return;
    if (winner !== undefined && winner.source !== "api" && winner.source !== "service") return;
    const reason = winner === undefined ? `a ${kind}` : `${option.type.format(winner.value)}, ${winner.where}`;
    const exempt = this.#exempt.get(weak) ?? [];
    this.#exempt.set(weak, [...exempt, `${service}.${api} (${reason})`]);
  }
}

/** True for a value for the whole app of an option for which such a value is only a default. */
const isWeak = ({ option, service }: Candidate): boolean => option.isWeakAppWide === true && service === "";

const rankOf = (candidate: Candidate): number =>
  sourceKinds.indexOf(candidate.source) + (isWeak(candidate) ? sourceKinds.length : 0);
const widthOf = ({ service, api }: Candidate): number => (service === "" ? 2 : api === "" ? 1 : 0);

/** Default of an option for its owner. A service is named by its class. */
function defaultOf(option: Option, { service }: Owner, kind: SpecialKind | undefined): unknown {
  if (option.name === "name") return service;
  return (kind && option.defaultsOf?.[kind]) ?? option.default;
}

/** Reads the options in `Service()` and in contracts. */
function readDeclared(reader: OptionReader): void {
  const { entry, services } = reader.declared;
  for (const service of services) {
    const at = { service: service.name, api: "", source: "service", where: `Service() of ${service.name}` } as const;
    if (service.name === entry) reader.readFields(service.options, at, ["intercept"]);
    else {
      reader.readFields(service.options, at, ["intercept", "http"]);
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
    reader.readFields(contract, at, contractFields);
  }
}

/**
 * Reads flags: option name → value, or an array for a repeated flag. A text is read as text; any other value is read as
 * from code, for programs that pass flags on.
 */
function readFlags(reader: OptionReader, flags: Readonly<Record<string, unknown>>): void {
  for (const [name, given] of Object.entries(flags)) {
    const option = options.get(name);
    const at = { source: "command line", where: `--${option === undefined ? name : flagOf(option)}` } as const;
    for (const value of Array.isArray(given) ? given : [given]) {
      if (typeof value === "string") readText(reader, { ...at, name, text: value });
      else reader.read({ ...at, service: "", api: "", name, value });
    }
  }
}

/** Reads `EKIBEN_…` variables. An empty variable counts as not set. */
function readEnvironment(reader: OptionReader, { env, envFile }: OptionSources): void {
  const variables = new Map([...options.values()].map((option) => [variableOf(option), option]));
  // Short, since it is typed when something is wrong.
  variables.set("EKIBEN_LOG", options.get("logLevel") as Option);
  const known = [...variables].filter(([, { sources }]) => sources.includes("environment")).map(([name]) => name);
  for (const [variable, text] of Object.entries(env)) {
    if (!variable.startsWith("EKIBEN_") || text === undefined || text === "" || isServiceLink(variable, text)) continue;
    const option = variables.get(variable);
    const now = formerVariables.get(variable);
    if (option !== undefined) {
      const where = envFile?.variables.has(variable) === true ? `${envFile.path} ${variable}` : variable;
      readText(reader, { source: "environment", where, name: option.name, text });
    } else if (now !== undefined) {
      const details = { former: variable, now, source: "environment" };
      reader.addFault("renamed_option", details, { service: "", api: "", name: variable });
    } else {
      const details = { variable, nearest: pickNearest(variable, known) };
      reader.addWarning("unknown_variable", details, { service: "", api: "", name: variable });
    }
  }
}

const formerVariables: ReadonlyMap<string, string> = new Map(
  [...formerNames].map(([former, name]) => [variableOf({ name: former }), variableOf({ name })]),
);

/** True for variables that Kubernetes sets in pods for a Service named ekiben: `EKIBEN_PORT=tcp://10.0.0.1:3000`. */
function isServiceLink(variable: string, text: string): boolean {
  return /^EKIBEN_(SERVICE_(HOST|PORT)|PORT_\d+_)/.test(variable) || /^(tcp|udp|sctp):\/\//.test(text);
}

const nextSelector = new RegExp(`\\s*[,\\n]\\s*(?=${namePattern}(?:\\.${namePattern})?=)`, "u");
const selectorAndValue = new RegExp(`^(?:(${namePattern})(?:\\.(${namePattern}))?=)?(.*)$`, "su");

interface RawText {
  readonly source: "command line" | "environment";
  readonly where: string;
  readonly name: string;
  readonly text: string;
}

/** Reads `"4"` for every service, `"Model=4"` for one, `"Model.predict=4"` for one api; commas join several. */
function readText(reader: OptionReader, { text, ...source }: RawText): void {
  if (options.get(source.name)?.level === "app") {
    reader.read({ ...source, service: "", api: "", value: text, isText: true });
    return;
  }
  for (const part of text.split(nextSelector)) {
    const [, service = "", api = "", value] = selectorAndValue.exec(part) ?? [];
    reader.read({ ...source, service, api, value, isText: true });
  }
}
