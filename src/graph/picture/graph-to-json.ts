import type { ApiKind } from "../../define/api-kind.js";
import { shapeJsonSchema } from "../../define/contract.js";
import type { ApiDescriptor, ServiceDescriptor } from "../../define/descriptor.js";
import type { JsonSchema } from "../../define/schema.js";
import { apiOptions } from "../../options/options.js";
import type { ApiSettings, ServiceSettings } from "../../options/settings.js";
import type { Graph } from "../graph.js";
import { listServices, type PictureOptions } from "./format-service.js";

/** A graph as plain JSON, for other programs. */
export interface GraphDocument {
  readonly entry: string;
  /** The entry first, then as declared from there down. */
  readonly services: readonly ServiceDocument[];
  readonly edges: readonly EdgeDocument[];
}

export interface ServiceDocument {
  readonly name: string;
  readonly apis: readonly ApiDocument[];
  /** Decided settings where they were given, else what the service declares. `null` stands for no bound. */
  readonly options: Readonly<Record<string, unknown>>;
}

export interface ApiDocument {
  readonly name: string;
  readonly kind: ApiKind;
  /** HTTP path; absent where the api is not public. */
  readonly route?: string;
  readonly summary?: string;
  readonly input: JsonSchema;
  /** Of the output, or of one item of a stream. */
  readonly output: JsonSchema;
  /** As for services. */
  readonly options: Readonly<Record<string, unknown>>;
}

export interface EdgeDocument {
  readonly from: string;
  readonly field: string;
  readonly to: string;
  readonly timeoutMs?: number;
}

/**
 * A graph as a plain JSON document: services, apis with the JSON Schemas of their types, edges and options.
 *
 * Environment variables are given by name alone, since their values may be secret.
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
  const { apis: lanes, ...decided } = settings ?? { ...options, apis: undefined };
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

/** Infinities, which JSON has no way to say, mean that there is no bound. */
const toPlain = (value: object): unknown => JSON.parse(JSON.stringify(value));
