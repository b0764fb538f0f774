import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { type Contract, createChecks } from "../define/contract.js";
import type { ServiceDescriptor } from "../define/descriptor.js";
import { findSchema, formatSteps, type InnerSchema, joinPath } from "../define/find-schema.js";
import { isTextKey } from "../define/json-forms.js";
import { formatModel, readModelSource } from "../define/model.js";
import { listUncompared } from "../define/named-sizes.js";
import { hasWholeJsonSchema, isSchema, isStreamSchema, type Schema, type Shape } from "../define/schema.js";
import { fail, type GraphFault } from "../failure/failures.js";
import { messageOf } from "../failure/to-serving-error.js";
import type { OptionReport } from "../options/resolve-options.js";
import type { AppSettings, ServiceSettings } from "../options/settings.js";
import type { Graph, GraphEdge } from "./graph.js";

/** One result of a check. A fault must be fixed, a warning deserves a look, a note is for information. */
export interface Finding extends Omit<GraphFault, "id"> {
  readonly kind: "fault" | "warning" | "note";
}

/** Graph and settings to check, and the machine they would run on. */
interface CheckSubject {
  readonly graph: Graph;
  readonly settings: AppSettings;
  /** Report on the options; tells values that were set from defaults. */
  readonly report: readonly OptionReport[];
  readonly machine: { readonly cores: number; readonly memoryBytes: number };
}

/**
 * Looks for problems of a graph without faults: deadlines that can't be reached, resources the machine does not have,
 * examples that do not fit, schemas that can't be shown. Starts no service; validates the examples.
 */
export async function checkGraph(subject: CheckSubject): Promise<Finding[]> {
  const { graph } = subject;
  const examples = await Promise.all([...graph.services.values()].map(checkExamples));
  return [
    ...examples.flat(),
    ...checkApis(graph),
    ...checkNames(graph),
    ...checkModels(graph),
    ...checkSizes(graph),
    ...checkDeadlines(subject),
    ...checkMachine(subject),
    ...checkSchemas(graph.services.get(graph.entry) as ServiceDescriptor),
  ];
}

/** Checks values that contracts give as inputs: examples, and the input of a schedule. */
async function checkExamples({ name: service, apis }: ServiceDescriptor): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const { name, contract } of apis.values()) {
    const { input } = createChecks(contract);
    for (const [index, example] of (contract.examples ?? []).entries()) {
      try {
        await input(example);
      } catch (error) {
        const { message, fix } = fail("invalid_example", { index, problem: messageOf(error) });
        findings.push({ kind: "fault", service, field: `${name}.examples[${index}]`, message, fix: fix ?? "" });
      }
    }
    if (!("scheduleInput" in contract)) continue;
    try {
      await input(contract.scheduleInput);
    } catch (error) {
      const problem = `scheduleInput does not fit the input: ${messageOf(error)}`;
      const { message, fix } = fail("invalid_schedule", { problem });
      findings.push({ kind: "fault", service, field: `${name}.scheduleInput`, message, fix: fix ?? "" });
    }
  }
  return findings;
}

/** Finds models whose file: path names no file. Others are found out when they are fetched. */
function checkModels({ services }: Graph): Finding[] {
  return [...services.values()].flatMap(({ name: service, models }) =>
    models.flatMap((model): Finding[] => {
      const source = readModelSource(model.from);
      if (typeof source === "string" || source.kind !== "file") return [];
      const path = resolve(model.folder, source.path);
      if (existsSync(path)) return [];
      const problem = `there is no file ${path}`;
      const { message, fix } = fail("model_not_found", { model: formatModel(model), from: model.from, problem });
      return [{ kind: "fault", service, field: model.field, message, fix: fix ?? "" }];
    }),
  );
}

function checkNames(graph: Graph): Finding[] {
  const message = formatMinifiedNames(graph);
  return message === undefined ? [] : [{ kind: "note", service: "", field: "", message, fix: minifiedNamesFix }];
}

function checkSizes({ services }: Graph): Finding[] {
  return [...services.values()].flatMap(({ name: service, apis }) =>
    [...apis.values()].flatMap(({ name: api, contract }) => {
      const { output, yields } = contract;
      const input = isStreamSchema(contract.input) ? undefined : contract.input;
      return listUncompared({ input, output, yields }).map(
        ({ name, path }): Finding => ({
          ...{ kind: "note", service, field: `${api}.${path}` },
          message: `size "${name}" of this tensor is not compared with the others of its name`,
          fix: "A union with tensors in several members, or a function behind the tensor, hides which tensor a value is. Compare the sizes in the api.",
        }),
      );
    }),
  );
}

function checkApis({ entry, services }: Graph): Finding[] {
  return [...services.values()]
    .filter(({ apis }) => apis.size === 0)
    .map(({ name }) => ({
      kind: "warning",
      service: name,
      field: "",
      message: name === entry ? "the entry service has no api: nothing can be called" : "it has no api to be called",
      fix: "Declare one as a class field: predict = api({ input, output }, (input) => …).",
    }));
}

/**
 * Finds deadlines that can't be reached. Visits callers first, so that the time they leave is known for each callee.
 */
function checkDeadlines({ graph, settings, report }: CheckSubject): Finding[] {
  const findings: Finding[] = [];
  const left = new Map<string, number>([[graph.entry, Number.POSITIVE_INFINITY]]);
  const names = [...graph.services.keys()].reverse();
  for (const name of names) {
    const most = left.get(name) ?? Number.POSITIVE_INFINITY;
    findings.push(...findLateApis({ name, most, report }));
    const longest = longestCall(settings.services.get(name) as ServiceSettings, most);
    for (const edge of graph.edges.filter(({ from }) => from === name)) {
      const own = edge.options.timeoutMs ?? Number.POSITIVE_INFINITY;
      if (Number.isFinite(own) && own > longest) findings.push(lateEdge(edge, own, longest));
      left.set(edge.to, Math.max(left.get(edge.to) ?? 0, Math.min(own, longest)));
    }
  }
  return findings;
}

function longestCall({ apis }: ServiceSettings, most: number): number {
  if (apis.size === 0) return Number.POSITIVE_INFINITY;
  return Math.max(...[...apis.values()].map(({ timeoutMs }) => Math.min(timeoutMs, most)));
}

/** Finds apis with a timeout that was set and that is longer than the time any caller leaves. */
function findLateApis(at: {
  readonly name: string;
  readonly most: number;
  readonly report: readonly OptionReport[];
}): Finding[] {
  return at.report
    .filter(({ option, service, source, value }) => {
      const isSet = option === "timeoutMs" && service === at.name && source !== "default";
      return isSet && (value as number) > at.most;
    })
    .map(({ api, value, where }) => ({
      kind: "warning",
      service: at.name,
      field: `${api}.timeoutMs`,
      message: `${value} ms (${where}) can't be reached: no caller has more than ${at.most} ms`,
      fix: "Raise timeoutMs of the calling apis or of the edge, or lower this one.",
    }));
}

const lateEdge = (edge: GraphEdge, own: number, longest: number): Finding => ({
  kind: "warning",
  service: edge.from,
  field: edge.field,
  message: `timeoutMs ${own} of the edge to ${edge.to} can't be reached: ${edge.from}'s own apis end after ${longest} ms`,
  fix: `Raise timeoutMs of ${edge.from}'s apis, or lower that of the edge.`,
});

/** Counts cores only of services that declare them: most services hardly use their default core. */
function checkMachine({ settings, report, machine }: CheckSubject): Finding[] {
  const services = [...settings.services.values()];
  const declared = new Set(
    report.flatMap(({ option, service, source }) =>
      option === "resources.cpu" && source !== "default" ? [service] : [],
    ),
  );
  const cores = [...settings.services].reduce(
    (sum, [name, { replicas, resources }]) => (declared.has(name) ? sum + replicas.min * resources.cpu : sum),
    0,
  );
  const memoryBytes = services.reduce((sum, { replicas, resources: { memoryBytes: bytes } }) => {
    return Number.isFinite(bytes) ? sum + replicas.min * bytes : sum;
  }, 0);
  const findings: Finding[] = [];
  const add = (field: string, message: string) =>
    findings.push({
      kind: "warning",
      service: "",
      field,
      message,
      fix: "Lower replicas or resources, or use a larger machine.",
    });
  if (cores > machine.cores) {
    add("resources.cpu", `all replicas together ask for ${cores} cores; this machine has ${machine.cores}`);
  }
  if (memoryBytes > machine.memoryBytes) {
    const gib = (bytes: number) => `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
    add(
      "resources.memory",
      `all replicas together ask for ${gib(memoryBytes)}; this machine has ${gib(machine.memoryBytes)}`,
    );
  }
  return findings;
}

/** Checks the schemas of the entry service only: clients see no others. */
function checkSchemas({ name: service, apis }: ServiceDescriptor): Finding[] {
  return [...apis.values()].flatMap(({ name, contract }) =>
    listSchemas(contract).flatMap(({ field, schema, side }): Finding[] => {
      const at = { service, field: `${name}.${field}` };
      const unsent = findSchema(schema, (inner) => withoutJson(inner, side) !== undefined);
      if (unsent !== undefined) return [unsentValue(at, unsent, side)];
      return hasWholeJsonSchema(schema, side) ? [] : [unshownSchema(at, schema)];
    }),
  );
}

const unshownSchema = (at: Pick<Finding, "service" | "field">, schema: Schema): Finding => ({
  ...at,
  kind: "note",
  message: `this schema (${schema["~standard"].vendor}) can't be fully expressed as JSON Schema: OpenAPI and /docs show any value there`,
  fix: "Use types that JSON Schema has, in a library that converts them (zod 4.2, arktype 2.2).",
});

/** Creates the fault for a value that no client can send or receive. */
function unsentValue(
  { service, field }: Pick<Finding, "service" | "field">,
  inner: InnerSchema,
  side: "input" | "output",
): Finding {
  const what = withoutJson(inner, side);
  return {
    ...{ kind: "fault", service, field: joinPath(field, formatSteps(inner.steps)) },
    message: `no client can ${side === "input" ? "send" : "receive"} this: JSON has no form for ${what}`,
    fix: "Take a type that has one: tensor(…) for typed arrays, texts as keys of a map, or a JSON value that the schema converts, as z.codec(…) does.",
  };
}

/** Names the type of a value that JSON has no form for, if no other value fits the schema there. */
function withoutJson({ form, unions, isChanged }: InnerSchema, side: "input" | "output"): string | undefined {
  if (unions.length > 0 || (isChanged && side === "output")) return undefined;
  if (form?.kind === "leaf" && form.type === "other") return form.name;
  const isUnwritten = side === "output" && form?.kind === "map" && !isTextKey(form.key);
  return isUnwritten ? "a map whose keys are no texts" : undefined;
}

function listSchemas(contract: Contract) {
  return (["input", "output", "yields"] as const).flatMap((part) => {
    const shape = contract[part];
    const side = part === "input" ? ("input" as const) : ("output" as const);
    if (shape === undefined) return [];
    const of: Shape = isStreamSchema(shape) ? shape.stream.item : shape;
    const start = of === shape ? part : `${part}[]`;
    if (isSchema(of)) return [{ field: start, schema: of as Schema, side }];
    return Object.entries(of).map(([field, schema]) => ({
      field: `${start}.${field}`,
      schema: schema as Schema,
      side,
    }));
  });
}

/**
 * Lists services whose names look minified. Class names begin with a capital letter; a minified name has one or two
 * letters, mostly small ones, and may change with each build.
 *
 * @returns `undefined` when no name looks minified.
 */
export function formatMinifiedNames({ services }: Graph): string | undefined {
  const short = [...services.values()].filter(
    ({ name, options }) => options.name === undefined && /^[a-z_$][\w$]?$/.test(name),
  );
  if (short.length === 0) return undefined;
  return `names of services look minified: ${short.map(({ name }) => name).join(", ")}; these names appear in metrics, options and stored tasks, and may change with each build`;
}

/** Fix for minified names. */
export const minifiedNamesFix =
  'Keep names in the bundler (esbuild --keep-names), or name the services: Service({ name: "…" }).';
