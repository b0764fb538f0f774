import { shapeJsonSchema } from "../../define/contract.js";
import type { ApiDescriptor, ServiceDescriptor } from "../../define/descriptor.js";
import type { ApiKind } from "../../define/handle-type.js";
import type { JsonSchema } from "../../define/schema.js";
import { apiOptions } from "../../options/options.js";
import type { ApiSettings, ServiceSettings } from "../../options/settings.js";
import type { Graph, GraphEdge } from "../graph.js";
import {
  type ApiText,
  formatField,
  formatOutput,
  formatServices,
  joinEdges,
  listServices,
  type PictureOptions,
  type ServiceText,
} from "./format-service.js";

/**
 * Prints a graph as text for a terminal: the entry service at the top, below each service its callees.
 *
 * A service with several callers is written out once, at its first appearance, and only named after that.
 */
export function printGraph(graph: Graph, options: PictureOptions = {}): string {
  const services = new Map(formatServices(graph, options).map((service) => [service.name, service]));
  const tree: Tree = { services, edges: graph.edges, shown: new Set(), lines: [] };
  addService(tree, graph.entry, { label: "", head: "", rest: "" });
  const count = (n: number, what: string) => `${n} ${what}${n === 1 ? "" : "s"}`;
  tree.lines.push("", `${count(services.size, "service")}, ${count(graph.edges.length, "edge")}`);
  return `${tree.lines.map((line) => line.trimEnd()).join("\n")}\n`;
}

interface Tree {
  readonly services: ReadonlyMap<string, ServiceText>;
  readonly edges: readonly GraphEdge[];
  readonly shown: Set<string>;
  readonly lines: string[];
}

/** Tree lines left of a service: `head` on its first line, `rest` on every line below. */
interface Branch {
  readonly label: string;
  readonly head: string;
  readonly rest: string;
}

function addService(tree: Tree, name: string, { label, head, rest }: Branch): void {
  const service = tree.services.get(name) as ServiceText;
  const title = `${head}${label}${name}`;
  if (tree.shown.has(name)) {
    tree.lines.push(`${title}  (shown above)`);
    return;
  }
  tree.shown.add(name);
  const facts = service.badges.map((badge) => badge.text);
  const version = service.version === "" ? "" : ` ${service.version}`;
  tree.lines.push(`${title}${version}${facts.length === 0 ? "" : `  (${facts.join(", ")})`}`);
  const callees = tree.edges.filter((edge) => edge.from === name);
  const bar = callees.length === 0 ? " " : "│";
  tree.lines.push(...formatRows(service.apis).map((row) => `${rest}${bar}  ${row}`));
  callees.forEach((edge, i) => {
    const isLast = i === callees.length - 1;
    addService(tree, edge.to, {
      label: formatEdge(edge),
      head: `${rest}${isLast ? "└─ " : "├─ "}`,
      rest: `${rest}${isLast ? "   " : "│  "}`,
    });
  });
}

function formatEdge({ field, to, options }: GraphEdge): string {
  const notes = [formatField(field, to), options.timeoutMs === undefined ? "" : `within ${options.timeoutMs} ms`];
  const words = notes.filter((note) => note !== "").join(", ");
  return words === "" ? "" : `${words}: `;
}

/** Formats one line for each api; names, types and routes stand in columns. */
function formatRows(apis: readonly ApiText[]): string[] {
  const rows = apis.map((api) => {
    return [api.name, `${api.input} -> ${formatOutput(api)}`, api.route === "" ? "" : `POST ${api.route}`] as const;
  });
  const width = (column: 0 | 1) => Math.max(0, ...rows.map((row) => row[column].length));
  const [names, types] = [width(0), width(1)];
  return rows.map(([name, type, route]) => `${name.padEnd(names)}  ${type.padEnd(types)}  ${route}`);
}

/** Prints a graph as a Mermaid flowchart (https://mermaid.js.org), left to right, the entry service marked. */
export function printMermaid(graph: Graph, options: PictureOptions = {}): string {
  const services = formatServices(graph, options);
  // Names may be Mermaid keywords (`end`), so nodes go by number.
  const ids = new Map(services.map((service, i) => [service.name, `s${i}`]));
  const lines = ["flowchart LR", `  http([HTTP]) --> ${ids.get(graph.entry)}`];
  for (const service of services) {
    lines.push(`  ${ids.get(service.name)}["${formatMermaidText(service)}"]${service.isEntry ? ":::entry" : ""}`);
  }
  for (const { from, to, label } of joinEdges(graph)) {
    const text = label === "" ? "" : `|"${escapeMermaid(label)}"|`;
    lines.push(`  ${ids.get(from)} -->${text} ${ids.get(to)}`);
  }
  lines.push("  classDef entry stroke-width:3px", "");
  return lines.join("\n");
}

function formatMermaidText(service: ServiceText): string {
  const title = `<b>${escapeMermaid(service.name)}</b>${service.version === "" ? "" : ` ${escapeMermaid(service.version)}`}`;
  const apis = service.apis.map((api) => escapeMermaid(`${api.name}: ${api.input} → ${formatOutput(api)}`));
  const facts = service.badges.map((badge) => badge.text).join(", ");
  return [title, ...apis, ...(facts === "" ? [] : [`<i>${escapeMermaid(facts)}</i>`])].join("<br/>");
}

/** Escapes quoted Mermaid text: characters that would end or change the text become their number, as `#34;`. */
function escapeMermaid(text: string): string {
  return text.replace(/\s+/g, " ").replace(/["#<>&`%;\\]/g, (sign) => `#${sign.codePointAt(0)};`);
}

/** A graph as plain JSON, for other programs. */
interface GraphDocument {
  readonly entry: string;
  /** Services: the entry first, then its callees as declared, depth first. */
  readonly services: readonly ServiceDocument[];
  readonly edges: readonly EdgeDocument[];
}

interface ServiceDocument {
  readonly name: string;
  readonly apis: readonly ApiDocument[];
  /** Decided settings if given, else the declarations of the service. `null` stands for no limit. */
  readonly options: Readonly<Record<string, unknown>>;
}

interface ApiDocument {
  readonly name: string;
  readonly kind: ApiKind;
  /** HTTP path; absent for an api that is not public. */
  readonly route?: string;
  readonly summary?: string;
  readonly input: JsonSchema;
  /** Schema of the output, or of one item of a stream. */
  readonly output: JsonSchema;
  /** Settings or declarations, as for services. */
  readonly options: Readonly<Record<string, unknown>>;
}

interface EdgeDocument {
  readonly from: string;
  readonly field: string;
  readonly to: string;
  readonly timeoutMs?: number;
}

/**
 * Returns a graph as a plain JSON document: services, apis with the JSON Schemas of their types, edges and options.
 *
 * Environment variables are listed by name only, since their values may be secret.
 */
export function graphToJson(graph: Graph, { settings }: PictureOptions = {}): GraphDocument {
  return {
    entry: graph.entry,
    services: listServices(graph).map((service) =>
      createServiceDocument(service, settings?.get(service.name), service.name === graph.entry),
    ),
    edges: graph.edges.map(({ from, field, to, options }) => ({ from, field, to, ...options })),
  };
}

function createServiceDocument(
  { name, apis, options }: ServiceDescriptor,
  settings: ServiceSettings | undefined,
  isEntry: boolean,
): ServiceDocument {
  const own = settings ?? { ...options, apis: undefined, startTimeoutFrom: undefined };
  const { apis: lanes, startTimeoutFrom: _, ...decided } = own;
  const shown = decided.env === undefined ? decided : { ...decided, env: Object.keys(decided.env) };
  return {
    name,
    apis: [...apis.values()].map((api) => createApiDocument(api, lanes?.get(api.name), isEntry)),
    options: toPlain(shown) as Record<string, unknown>,
  };
}

function createApiDocument(api: ApiDescriptor, lane: ApiSettings | undefined, isPublic: boolean): ApiDocument {
  const { input, output, yields, summary } = api.contract;
  const { timeoutFrom: _, ...bounds } = lane ?? pickDeclared(api.contract);
  return {
    name: api.name,
    kind: api.kind,
    ...(isPublic && { route: api.route }),
    ...(summary !== undefined && { summary }),
    input: shapeJsonSchema(input, "input"),
    output: shapeJsonSchema(output ?? yields, "output"),
    options: toPlain(bounds) as Record<string, unknown>,
  };
}

const pickDeclared = (contract: object): Partial<ApiSettings> =>
  Object.fromEntries(Object.entries(contract).filter(([name]) => Object.hasOwn(apiOptions, name)));

/** Converts to plain JSON. Infinity becomes `null`, which stands for no limit. */
const toPlain = (value: object): unknown => JSON.parse(JSON.stringify(value));
