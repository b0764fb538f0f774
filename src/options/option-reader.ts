import { type FailureDetails, type FailureId, fail, type GraphFault } from "../failure/failures.js";
import { ServingError } from "../failure/serving-error.js";
import { formatSources, type Option, type SourceKind, type SpecialKind } from "./option.js";
import { contractFields, formerNames, optionGroups, options } from "./options.js";
import { pickNearest } from "./pick-nearest.js";

/** Services of a graph and the options their authors declared. */
export interface DeclaredOptions {
  /** Name of the entry service: its `http` options are those of the app. */
  readonly entry: string;
  readonly services: readonly DeclaredService[];
}

/** One service and the options its author declared. */
export interface DeclaredService {
  readonly name: string;
  /** Argument of `Service()`. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly apis: readonly DeclaredApi[];
}

interface DeclaredApi {
  readonly name: string;
  /** Contract of the api. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Absent for an ordinary api. */
  readonly kind?: SpecialKind | undefined;
}

/** Services and apis that a value applies to. `""` as the service is every service, `""` as the api every api. */
interface Selector {
  readonly service: string;
  readonly api: string;
}

/** Source of a value: its kind, and its position as people name it, such as `"--port"`. */
interface Source {
  readonly source: SourceKind;
  readonly where: string;
}

/** One valid value of one option. The strongest candidate that applies wins. */
export interface Candidate extends Selector, Source {
  readonly option: Option;
  readonly value: unknown;
}

/** One value as it stands in its source, not read yet. */
interface RawValue extends Selector, Source {
  readonly name: string;
  readonly value: unknown;
  /** True for a flag or a variable: the value is read as text. */
  readonly isText?: boolean;
}

/** Selector of a value, and the name of its option: the position of a fault. */
type FaultPosition = Selector & { readonly name: string };

/** Reads the values of all sources into candidates, and collects everything that is wrong with them. */
export class OptionReader {
  readonly declared: DeclaredOptions;
  readonly candidates: Candidate[] = [];
  readonly faults: GraphFault[] = [];
  readonly warnings: GraphFault[] = [];

  constructor(declared: DeclaredOptions) {
    this.declared = declared;
  }

  /** Reads a value into a candidate, or adds a fault. `undefined` is no value. */
  read(raw: RawValue): void {
    const option = options.get(raw.name);
    if (raw.value === undefined) return;
    if (option === undefined) this.#addUnknown(raw);
    else if (!this.isKnown(raw)) return;
    else if (maySet(raw, option)) this.#addCandidate(option, raw);
    else {
      const details = { option: option.name, source: raw.where, allowed: formatSources(option) };
      this.addFault("misplaced_option", details, raw);
    }
  }

  #addCandidate(option: Option, raw: RawValue): void {
    const { type } = option;
    const { service, api, source, where } = raw;
    let value: unknown;
    try {
      value = raw.isText === true ? type.fromText(String(raw.value)) : type.fromCode(raw.value);
    } catch (error) {
      // A secret that is missing or can't be read.
      if (!(error instanceof ServingError)) throw error;
      const { message, fix = "" } = error;
      this.faults.push({ id: error.id as FailureId, service, field: raw.name, message, fix });
      return;
    }
    if (value === undefined) this.addInvalid(raw, type.expected);
    else this.candidates.push({ option, service, api, value, source, where });
  }

  /**
   * Reads the fields of an object, and those of a group such as `http` one level down.
   *
   * @param skip Names of fields that are not options, such as `"input"` and `"cache.key"`.
   */
  readFields(fields: unknown, at: Selector & Source, skip: readonly string[] = []): void {
    if (!isFields(fields)) {
      const isFile = at.source === "app file" && !at.where.includes(" ");
      const expected = isFile ? "an object of options as its default export" : "an object of options";
      const details = { option: "", value: fields, expected, source: at.where };
      this.addFault("invalid_option", details, { ...at, name: at.source === "app file" ? at.where : "" });
      return;
    }
    for (const [name, value] of Object.entries(fields)) {
      if (skip.includes(name) || value === undefined) continue;
      const where = at.source === "app file" ? joinPath(at.where, name) : at.where;
      if (optionGroups.includes(name)) this.#readGroup({ ...at, where, name, value }, skip);
      else this.read({ ...at, where, name, value });
    }
  }

  #readGroup(group: RawValue, skip: readonly string[]): void {
    if (!isFields(group.value)) {
      this.addInvalid(group, "an object of options");
      return;
    }
    for (const [field, value] of Object.entries(group.value)) {
      if (skip.includes(`${group.name}.${field}`)) continue;
      const where = group.source === "app file" ? joinPath(group.where, field) : group.where;
      this.read({ ...group, where, name: `${group.name}.${field}`, value });
    }
  }

  /** True when the graph has the service and the api of a selector; otherwise adds a fault. */
  isKnown(at: FaultPosition & Source): boolean {
    if (at.service === "") return true;
    const service = this.declared.services.find(({ name }) => name === at.service);
    const names = (service?.apis ?? this.declared.services).map(({ name }) => name);
    const target = service === undefined ? at.service : at.api;
    if (target === "" || (service !== undefined && names.includes(target))) return true;
    const what = service === undefined ? "service" : `api of ${service.name}`;
    const details = { what, target, source: at.where, known: names, nearest: pickNearest(target, names) };
    this.addFault("unknown_target", details, { ...at, service: service?.name ?? "", api: "" });
    return false;
  }

  addInvalid(raw: RawValue, expected: string): void {
    const value = mayBeSecret(raw.name) ? "(not shown)" : raw.value;
    const details = { option: raw.name, value, expected, source: raw.where };
    this.addFault("invalid_option", details, raw);
  }

  #addUnknown(at: RawValue): void {
    const now = formerNames.get(at.name);
    if (now !== undefined) {
      this.addFault("renamed_option", { former: at.name, now, source: at.where }, at);
      return;
    }
    const fitting = [...options.values()].filter((option) => maySet(at, option)).map((option) => option.name);
    const known = at.source === "api" ? [...fitting, ...contractFields] : fitting;
    const nearest = pickNearest(at.name, known) ?? pickByField(at.name, fitting);
    this.addFault("unknown_option", { option: at.name, source: at.where, nearest }, at);
  }

  addFault<Id extends FailureId>(id: Id, details: FailureDetails<Id>, at: FaultPosition): void {
    this.faults.push(createFault(id, details, at));
  }

  addWarning<Id extends FailureId>(id: Id, details: FailureDetails<Id>, at: FaultPosition): void {
    this.warnings.push(createFault(id, details, at));
  }
}

/** True when an option, or one option of a group, may hold a password. */
const mayBeSecret = (name: string) =>
  [...options.values()].some(
    (option) => option.type.isSecret === true && (option.name === name || option.name.startsWith(`${name}.`)),
  );

/** True when a source of this kind may set the option, and the selector is as wide as the option's level or wider. */
function maySet({ source, service, api }: Selector & Source, option: Option): boolean {
  if (!option.sources.includes(source)) return false;
  if (source === "service") return true;
  if (option.level === "app") return service === "";
  return option.level === "api" || api === "";
}

/** Finds an option by the last part of its name: `"cpus"` → `"resources.cpu"`. */
function pickByField(name: string, known: readonly string[]): string | undefined {
  const fields = new Map(known.map((option) => [option.slice(option.indexOf(".") + 1), option]));
  const nearest = pickNearest(name.slice(name.indexOf(".") + 1), fields.keys());
  return nearest === undefined ? undefined : fields.get(nearest);
}

/** Makes the fault of one row of the failure table. */
export function createFault<Id extends FailureId>(
  id: Id,
  details: FailureDetails<Id>,
  { service, api, name }: FaultPosition,
): GraphFault {
  const { message, fix } = fail(id, details);
  return { id, service, field: api === "" ? name : `${api}.${name}`, message, fix: fix ?? "" };
}

/** Joins the name of an app file and a path inside it, with one space: `"ekiben.config.ts services.Model"`. */
function joinPath(where: string, name: string): string {
  return where.includes(" ") ? `${where}.${name}` : `${where} ${name}`;
}

/** True for an object that may hold options. */
function isFields(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** An app file once loaded. */
export interface LoadedAppFile {
  /** Name in messages: `"ekiben.config.ts"`. Without spaces. */
  readonly path: string;
  /** Default export of the file; should be an `AppFile`. */
  readonly value: unknown;
}

/** Fields of an app file that are functions, not options. */
const functions = ["fastify", "context"] as const;

/** Reads the options of an app file: those of the app, of services and of apis. */
export function readAppFile(reader: OptionReader, { path, value }: LoadedAppFile): void {
  const at = { service: "", api: "", source: "app file", where: path } as const;
  reader.readFields(value, at, ["services", ...functions]);
  if (!isFields(value)) return;
  const { services } = value;
  for (const name of functions) {
    const given = value[name];
    if (given === undefined || typeof given === "function") continue;
    reader.addInvalid({ ...at, where: joinPath(path, name), name, value: given }, "a function");
  }
  for (const [service, fields, where] of readNamed(reader, services, { ...at, name: "services" })) {
    const inside = { ...at, service, where };
    if (!reader.isKnown({ ...inside, name: `services.${service}` })) continue;
    reader.readFields(fields, inside, ["apis"]);
    if (isFields(fields)) readApis(reader, fields["apis"], inside);
  }
}

function readApis(reader: OptionReader, apis: unknown, at: Selector & Source): void {
  for (const [api, fields, where] of readNamed(reader, apis, { ...at, name: "apis" })) {
    const inside = { ...at, api, where };
    if (reader.isKnown({ ...inside, name: `apis.${api}` })) reader.readFields(fields, inside);
  }
}

/** Lists the entries of `services` or `apis`: name, fields, and position in the file. */
function readNamed(
  reader: OptionReader,
  value: unknown,
  at: FaultPosition & Source,
): [name: string, fields: unknown, where: string][] {
  if (value === undefined) return [];
  const where = joinPath(at.where, at.name);
  if (isFields(value)) return Object.entries(value).map(([name, fields]) => [name, fields, `${where}.${name}`]);
  reader.addInvalid({ ...at, where, value }, "an object with one field for each name");
  return [];
}
