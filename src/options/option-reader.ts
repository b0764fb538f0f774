import { type FailureDetails, type FailureId, fail, type GraphFault } from "../failure/failures.js";
import { contractFields, optionGroups, options } from "./options.js";
import { pickNearest } from "./pick-nearest.js";
import { formatSources, type Option, type SourceKind, type SpecialKind } from "./value-types.js";

/** The services of a graph and what their author said about them. */
export interface DeclaredOptions {
  /** Name of the entry service: its `http` options are those of the app. */
  readonly entry: string;
  readonly services: readonly DeclaredService[];
}

export interface DeclaredService {
  readonly name: string;
  /** What `Service()` was given. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Each api, and its contract. */
  readonly apis: readonly DeclaredApi[];
}

interface DeclaredApi {
  readonly name: string;
  readonly options: Readonly<Record<string, unknown>>;
  /** Absent for an ordinary one. */
  readonly kind?: SpecialKind | undefined;
}

/** What a value is for. `""` as the service is every service, `""` as the api every api. */
interface Target {
  readonly service: string;
  readonly api: string;
}

/** One value of one option, read and in range, that some place offers. */
export interface Candidate extends Target {
  readonly option: Option;
  readonly value: unknown;
  readonly source: SourceKind;
  readonly where: string;
}

/** Where a value stands: its kind of source, and the place as a person would name it. */
interface Place {
  readonly source: SourceKind;
  readonly where: string;
}

/** One value as it was found. */
interface Offer extends Target, Place {
  readonly name: string;
  readonly value: unknown;
  /** From a flag or a variable: the value is text and is read as such. */
  readonly isText?: boolean;
}

/** Collects what every place offers, and everything that is wrong with it. */
export class OptionReader {
  readonly declared: DeclaredOptions;
  readonly candidates: Candidate[] = [];
  readonly faults: GraphFault[] = [];
  readonly warnings: GraphFault[] = [];

  constructor(declared: DeclaredOptions) {
    this.declared = declared;
  }

  /** Takes a value, or notes why it can't be taken. `undefined` is no value. */
  offer(offer: Offer): void {
    const option = options.get(offer.name);
    if (offer.value === undefined) return;
    if (option === undefined) this.addUnknown(offer);
    else if (!this.isKnownTarget(offer)) return;
    else if (mayStandAt(option, offer)) this.#take(option, offer);
    else {
      const details = { option: option.name, source: offer.where, allowed: formatSources(option) };
      this.addFault("misplaced_option", details, offer);
    }
  }

  #take(option: Option, offer: Offer): void {
    const { type } = option;
    const value = offer.isText === true ? type.fromText(String(offer.value)) : type.fromCode(offer.value);
    const { service, api, source, where } = offer;
    if (value === undefined) this.addInvalid(offer, type.expected);
    else this.candidates.push({ option, service, api, value, source, where });
  }

  /**
   * Takes the fields of an object; those of a group such as `http` one level down.
   *
   * @param skip Names of fields that are no options.
   */
  offerFields(fields: unknown, at: Target & Place, skip: readonly string[] = []): void {
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
      if (optionGroups.includes(name)) this.#offerGroup({ ...at, where, name, value });
      else this.offer({ ...at, where, name, value });
    }
  }

  #offerGroup(group: Offer): void {
    if (!isFields(group.value)) {
      this.addInvalid(group, "an object of options");
      return;
    }
    for (const [field, value] of Object.entries(group.value)) {
      const where = group.source === "app file" ? joinPath(group.where, field) : group.where;
      this.offer({ ...group, where, name: `${group.name}.${field}`, value });
    }
  }

  /** Whether the graph has the service and the api that a value is for; notes a fault when not. */
  isKnownTarget(at: Target & Place & { readonly name: string }): boolean {
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

  addInvalid(offer: Offer, expected: string): void {
    const value = mayBeSecret(offer.name) ? "(not shown)" : offer.value;
    const details = { option: offer.name, value, expected, source: offer.where };
    this.addFault("invalid_option", details, offer);
  }

  addUnknown(at: Offer): void {
    const fitting = [...options.values()].filter((option) => mayStandAt(option, at)).map((option) => option.name);
    const known = at.source === "api" ? [...fitting, ...contractFields] : fitting;
    const nearest = pickNearest(at.name, known) ?? pickByField(at.name, fitting);
    this.addFault("unknown_option", { option: at.name, source: at.where, nearest }, at);
  }

  addFault<Id extends FailureId>(id: Id, details: FailureDetails<Id>, at: Target & { readonly name: string }): void {
    this.faults.push(createFault(id, details, at));
  }

  addWarning<Id extends FailureId>(id: Id, details: FailureDetails<Id>, at: Target & { readonly name: string }): void {
    this.warnings.push(createFault(id, details, at));
  }
}

/** Whether an option, or one of a group's, may hold a password. */
const mayBeSecret = (name: string) =>
  [...options.values()].some(
    (option) => option.type.isSecret === true && (option.name === name || option.name.startsWith(`${name}.`)),
  );

/** Whether an option may be set there: the kind of place allows it, and it does not reach less far than the option does. */
function mayStandAt(option: Option, { source, service, api }: Target & Place): boolean {
  if (!option.sources.includes(source)) return false;
  if (source === "service") return true;
  if (option.level === "app") return service === "";
  return option.level === "api" || api === "";
}

/** `"cpus"` → `"resources.cpu"`. */
function pickByField(name: string, known: readonly string[]): string | undefined {
  const fields = new Map(known.map((option) => [option.slice(option.indexOf(".") + 1), option]));
  const nearest = pickNearest(name.slice(name.indexOf(".") + 1), fields.keys());
  return nearest === undefined ? undefined : fields.get(nearest);
}

function createFault<Id extends FailureId>(
  id: Id,
  details: FailureDetails<Id>,
  { service, api, name }: Target & { readonly name: string },
): GraphFault {
  const { message, fix } = fail(id, details);
  return { id, service, field: api === "" ? name : `${api}.${name}`, message, fix: fix ?? "" };
}

/** An app file is named once, then the path inside it: `"ekiben.config.ts services.Model"`. */
function joinPath(where: string, name: string): string {
  return where.includes(" ") ? `${where}.${name}` : `${where} ${name}`;
}

/** Whether a value is an object that may hold options. */
function isFields(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** An app file once loaded. */
export interface LoadedAppFile {
  /** Names it in messages: `"ekiben.config.ts"`. Without spaces. */
  readonly path: string;
  /** Its default export; should be an `AppFile`. */
  readonly value: unknown;
}

/** Reads what an app file says: for the app, for services, for apis. */
export function readAppFile(reader: OptionReader, { path, value }: LoadedAppFile): void {
  const at = { service: "", api: "", source: "app file", where: path } as const;
  reader.offerFields(value, at, ["services", "fastify"]);
  if (!isFields(value)) return;
  const { services, fastify } = value;
  if (fastify !== undefined && typeof fastify !== "function") {
    reader.addInvalid({ ...at, where: joinPath(path, "fastify"), name: "fastify", value: fastify }, "a function");
  }
  for (const [service, fields, where] of readNamed(reader, services, { ...at, name: "services" })) {
    const inside = { ...at, service, where };
    if (!reader.isKnownTarget({ ...inside, name: `services.${service}` })) continue;
    reader.offerFields(fields, inside, ["apis"]);
    if (isFields(fields)) readApis(reader, fields["apis"], inside);
  }
}

function readApis(reader: OptionReader, apis: unknown, at: Target & Place): void {
  for (const [api, fields, where] of readNamed(reader, apis, { ...at, name: "apis" })) {
    const inside = { ...at, api, where };
    if (reader.isKnownTarget({ ...inside, name: `apis.${api}` })) reader.offerFields(fields, inside);
  }
}

/** The entries of `services` or `apis`: name, fields, and where they stand. */
function readNamed(
  reader: OptionReader,
  value: unknown,
  at: Target & Place & { readonly name: string },
): [name: string, fields: unknown, where: string][] {
  if (value === undefined) return [];
  const where = joinPath(at.where, at.name);
  if (isFields(value)) return Object.entries(value).map(([name, fields]) => [name, fields, `${where}.${name}`]);
  reader.addInvalid({ ...at, where, value }, "an object with one field for each name");
  return [];
}
