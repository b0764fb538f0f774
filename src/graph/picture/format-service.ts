import { shapeJsonSchema } from "../../define/contract.js";
import type { ApiDescriptor, ServiceDescriptor } from "../../define/descriptor.js";
import { followReference } from "../../define/follow-reference.js";
import { isStreamSchema, type JsonSchema, type Shape } from "../../define/schema.js";
import { formatAddress } from "../../options/address-types.js";
import { serviceOptions } from "../../options/options.js";
import type { ServiceSettings } from "../../options/settings.js";
import type { Graph } from "../graph.js";

/** Data that the pictures of a graph show besides the declarations. */
export interface PictureOptions {
  /** Decided settings by service name. Default: the declarations of each service. */
  readonly settings?: ReadonlyMap<string, ServiceSettings>;
}

/** One api in words. */
export interface ApiText {
  readonly name: string;
  /** `()` for an api without input. */
  readonly input: string;
  /** Type of the output, or of one item of a stream. */
  readonly output: string;
  readonly isStream: boolean;
  readonly isTask: boolean;
  /** HTTP path; `""` for an api that is not public. */
  readonly route: string;
}

/** One fact about a service's resources, for example `{ kind: "gpu", text: "1 gpu" }`. */
export interface Badge {
  readonly kind: "cpu" | "gpu" | "memory" | "replicas" | "placement" | "group";
  readonly text: string;
}

/** A service in words, as every picture shows it. */
export interface ServiceText {
  readonly name: string;
  /** `""` when none is declared. */
  readonly version: string;
  readonly description: string;
  readonly isEntry: boolean;
  readonly apis: readonly ApiText[];
  readonly badges: readonly Badge[];
  /** Largest number of replicas; 1 when nothing is declared. */
  readonly maxReplicas: number;
}

/**
 * Formats every service of a graph, in reading order: from the entry down, dependencies as declared.
 *
 * @param maxTypeLength Characters one input or output may take.
 */
export function formatServices(graph: Graph, options: PictureOptions = {}, maxTypeLength = 40): ServiceText[] {
  const placements = new Set([...(options.settings?.values() ?? [])].map((settings) => settings.placement));
  return listServices(graph).map((descriptor) => {
    const settings = options.settings?.get(descriptor.name);
    const isEntry = descriptor.name === graph.entry;
    return {
      name: descriptor.name,
      version: resolveVersion(descriptor, settings),
      description: settings?.description ?? descriptor.options.description ?? "",
      isEntry,
      apis: [...descriptor.apis.values()].map((api) => formatApi(api, isEntry, maxTypeLength)),
      badges: formatBadges(descriptor, settings, placements.size > 1),
      maxReplicas: resolveReplicas(descriptor, settings).max,
    };
  });
}

/** Lists the services of a graph in reading order: depth first from the entry, each once. */
export function listServices({ entry, services, edges }: Graph): ServiceDescriptor[] {
  const listed = new Set<string>();
  const add = (name: string) => {
    if (listed.has(name)) return;
    listed.add(name);
    for (const edge of edges) if (edge.from === name) add(edge.to);
  };
  add(entry);
  return [...listed].flatMap((name) => services.get(name) ?? []);
}

/** All edges between two services as one, labelled with field names that say more than the service's name. */
export interface JoinedEdge {
  readonly from: string;
  readonly to: string;
  /** Field names; `""` for a field named like the service. */
  readonly label: string;
}

/** Joins the edges of a graph for drawing, in the order of `graph.edges`. */
export function joinEdges(graph: Graph): JoinedEdge[] {
  const joined = new Map<string, { from: string; to: string; labels: string[] }>();
  for (const { from, to, field } of graph.edges) {
    const key = JSON.stringify([from, to]);
    const edge = joined.get(key) ?? { from, to, labels: [] };
    joined.set(key, edge);
    const label = formatField(field, to);
    if (label !== "") edge.labels.push(label);
  }
  return [...joined.values()].map(({ from, to, labels }) => ({ from, to, label: labels.join(", ") }));
}

/** Name of an edge's field, or `""` when it repeats the service's name: `scaler` of `Scaler`. */
export function formatField(field: string, service: string): string {
  return field === "(private)" || field.toLowerCase() === service.toLowerCase() ? "" : field;
}

function formatApi(api: ApiDescriptor, isPublic: boolean, maxTypeLength: number): ApiText {
  const { input, output, yields } = api.contract;
  return {
    name: api.name,
    input: formatInput(input, maxTypeLength),
    output: formatType(shapeJsonSchema(output ?? yields, "output"), maxTypeLength),
    isStream: api.kind === "stream",
    isTask: api.kind === "task",
    route: isPublic ? api.route : "",
  };
}

/** Output of an api and its kind: `"stream of string"`, `"string, as a task"`. */
export function formatOutput({ output, isStream, isTask }: ApiText): string {
  if (isStream) return `stream of ${output}`;
  return isTask ? `${output}, as a task` : output;
}

function formatInput(input: Shape | undefined, maxTypeLength: number): string {
  if (input === undefined) return "()";
  const of = "stream of ";
  if (!isStreamSchema(input)) return formatType(shapeJsonSchema(input, "input"), maxTypeLength);
  return of + formatType(shapeJsonSchema(input.stream.item, "input"), maxTypeLength - of.length);
}

/** Badges for declared resources, and for all that differs from one plain replica on one core. */
function formatBadges(
  descriptor: ServiceDescriptor,
  settings: ServiceSettings | undefined,
  isPlacementMixed: boolean,
): Badge[] {
  const declared = descriptor.options;
  const badges: Badge[] = [];
  const add = (kind: Badge["kind"], text: string) => badges.push({ kind, text });
  const { cpu, gpu, gpuType, memory } = resolveResources(descriptor, settings);
  if (declared.resources?.cpu !== undefined || (cpu !== "" && cpu !== "1")) add("cpu", `${cpu} cpu`);
  if (gpu > 0) add("gpu", `${gpu} gpu${gpuType === "" ? "" : ` ${gpuType}`}`);
  if (memory !== "") add("memory", memory);
  const { min, max } = resolveReplicas(descriptor, settings);
  const count = min === max ? `${max}` : `${min}–${max}`;
  if (declared.replicas !== undefined || max > 1) add("replicas", `${count} replica${count === "1" ? "" : "s"}`);
  if (settings !== undefined && settings.at.length > 0) {
    add("placement", `at ${settings.at.map(formatAddress).join(", ")}`);
    return badges;
  }
  const placement = settings?.placement ?? declared.placement;
  if (placement !== undefined && (declared.placement !== undefined || isPlacementMixed)) add("placement", placement);
  const group = settings?.group ?? declared.group ?? "none";
  if (group !== "none" && (placement ?? "process") === "process") add("group", `group ${group}`);
  return badges;
}

/** Version of a service; `""` for the default version, which is not worth showing. */
function resolveVersion({ options }: ServiceDescriptor, settings: ServiceSettings | undefined): string {
  const version = settings?.version ?? options.version ?? "";
  return version === serviceOptions.version.default ? "" : version;
}

function resolveResources({ options }: ServiceDescriptor, settings: ServiceSettings | undefined) {
  if (settings !== undefined) {
    const { cpu, gpu, gpuType, memoryBytes } = settings.resources;
    return { cpu: `${cpu}`, gpu, gpuType, memory: Number.isFinite(memoryBytes) ? formatBytes(memoryBytes) : "" };
  }
  const { cpu = "", gpu = 0, gpuType = "", memory = "" } = options.resources ?? {};
  const cores = typeof cpu === "string" && /^\d+m$/.test(cpu) ? Number.parseInt(cpu, 10) / 1000 : cpu;
  return { cpu: `${cores}`, gpu, gpuType, memory: typeof memory === "number" ? formatBytes(memory) : memory };
}

function resolveReplicas({ options }: ServiceDescriptor, settings: ServiceSettings | undefined) {
  if (settings !== undefined) return settings.replicas;
  const replicas = options.replicas ?? 1;
  return typeof replicas === "number" ? { min: replicas, max: replicas } : replicas;
}

/** Bytes in the largest binary unit that is exact to one decimal, as options write them: `8Gi`, `1.5Gi`. */
function formatBytes(bytes: number): string {
  const units = ["", "Ki", "Mi", "Gi", "Ti"];
  let size = bytes;
  let unit = 0;
  while (size >= 1024 && unit < units.length - 1 && Number.isInteger((size / 1024) * 10)) {
    size /= 1024;
    unit++;
  }
  return `${size}${units[unit]}`;
}

/** Most members of a union or an enum that are shown. */
const maxMembers = 4;

/**
 * Formats a JSON Schema as a few words, for example `float32[n]`, `string[]`, `{ rawInput }`, `file`, `"a" | "b"`.
 *
 * Objects show only the names of their fields. Schemas that have no short form are `any`.
 *
 * @param maxLength Characters; a longer text ends in `…` and closes its open brackets.
 */
export function formatType(schema: JsonSchema, maxLength = 60): string {
  return shorten(typeWords(schema, schema, 0), maxLength);
}

/** Levels of `$ref` or of nested lists that are followed; a deeper schema is recursive. */
const maxDepth = 4;

function typeWords(schema: JsonSchema, root: JsonSchema, depth: number): string {
  if (typeof schema !== "object" || schema === null || depth > maxDepth) return "any";
  const title = titleWords(schema);
  if (title !== undefined) return title;
  if (typeof schema["$ref"] === "string") return referenceWords(schema["$ref"], root, depth);
  if ("const" in schema) return JSON.stringify(schema["const"]);
  if (Array.isArray(schema["enum"])) return joinMembers(schema["enum"].map((value) => JSON.stringify(value)));
  const members = schema["anyOf"] ?? schema["oneOf"];
  if (Array.isArray(members)) return joinMembers(members.map((member) => typeWords(member, root, depth + 1)));
  if (Array.isArray(schema["allOf"])) {
    return schema["allOf"].map((part) => typeWords(part, root, depth + 1)).join(" & ");
  }
  const types = [schema["type"]].flat().filter((type) => typeof type === "string");
  if (types.length === 0) return "properties" in schema ? objectWords(schema, root, depth) : "any";
  return joinMembers(types.map((type) => plainWords(type, schema, root, depth)));
}

/** Titles of values that JSON has no notation for. */
const titles = ["file", "date", "bigint", "bytes", "map", "set"];

/** Reads titles of tensors (dtype and shape), files, dates and the like. Other titles are names. */
function titleWords(schema: JsonSchema): string | undefined {
  const { title } = schema;
  if (typeof title !== "string") return undefined;
  return titles.includes(title) || /^(float|int|uint)\d+\[.*\]$/.test(title) ? title : undefined;
}

function referenceWords(reference: string, root: JsonSchema, depth: number): string {
  const target = followReference(reference, root) as JsonSchema | undefined;
  return target === undefined ? "any" : typeWords(target, root, depth + 1);
}

function plainWords(type: string, schema: JsonSchema, root: JsonSchema, depth: number): string {
  if (type === "object") return objectWords(schema, root, depth);
  if (type === "array") return listWords(schema, root, depth);
  return type;
}

function objectWords(schema: JsonSchema, root: JsonSchema, depth: number): string {
  const required = new Set(Array.isArray(schema["required"]) ? schema["required"] : []);
  const names = Object.keys((schema["properties"] ?? {}) as object);
  if (names.length > 0) return `{ ${names.map((name) => (required.has(name) ? name : `${name}?`)).join(", ")} }`;
  const rest = schema["additionalProperties"];
  if (typeof rest === "object" && rest !== null) return `{ [key]: ${typeWords(rest as JsonSchema, root, depth + 1)} }`;
  return rest === false ? "{}" : "object";
}

function listWords(schema: JsonSchema, root: JsonSchema, depth: number): string {
  const { prefixItems, items } = schema;
  if (Array.isArray(prefixItems)) {
    return `[${prefixItems.map((item) => typeWords(item, root, depth + 1)).join(", ")}]`;
  }
  if (typeof items !== "object" || items === null) return "any[]";
  const item = typeWords(items as JsonSchema, root, depth + 1);
  return item.includes(" | ") || item.includes(" & ") ? `(${item})[]` : `${item}[]`;
}

function joinMembers(members: readonly string[]): string {
  const distinct = [...new Set(members)];
  const shown = distinct.slice(0, maxMembers);
  return (distinct.length > maxMembers ? [...shown, "…"] : shown).join(" | ");
}

/** Cuts at the last whole field or member that fits, and closes open brackets. */
function shorten(words: string, maxLength: number): string {
  if (words.length <= maxLength) return words;
  const closing = /^\{ .*( \}(?:\[\])*)$/.exec(words)?.[1] ?? "";
  const room = words.slice(0, maxLength - 1 - closing.length);
  const cut = Math.max(room.lastIndexOf(", "), room.lastIndexOf(" | "));
  const kept = cut > 0 ? room.slice(0, words[cut] === "," ? cut + 2 : cut + 3) : room;
  return `${kept}…${closing}`;
}
