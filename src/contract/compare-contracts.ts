import { type ApiForm, type ContractForm, writeCanonical } from "./contract-form.js";
import { findSizeChanges, type SizeChange } from "./find-size-changes.js";
import { type Fit, findTypeChanges, type TypeChange } from "./find-type-changes.js";
import { type Type, typeOf } from "./fold-type.js";
import { formatExample } from "./format-type.js";
import { formOfShape } from "./type-form.js";
import { noSample, type Trust } from "./type-values.js";

// Two versions of a contract, compared by the values that go over an edge: an input must fit the callee's type, an
// output the caller's. So inputs may widen and outputs may narrow.

/** Pair that does not work together while a change is rolled out. */
export type Break =
  /** Callers that were built with the older contract, with the newer service. */
  | "old callers"
  /** Callers that were built with the newer contract, with the older service. */
  | "new callers"
  /** Tasks that the older service stored, with the newer service and its callers. */
  | "stored tasks";

/** Order in which callee and callers can be replaced so that each pair that meets works. */
export type Rollout = "any" | "callee first" | "callers first" | "none";

/** One difference between two versions of a contract. Plain JSON. */
export interface ContractChange {
  readonly service: string;
  /** Name of the api; `""` for the service itself. */
  readonly api: string;
  /** Place in the api: `"input.limit"`, `"output.boxes[].label"`; `""` for the api itself. */
  readonly field: string;
  readonly from: string;
  readonly to: string;
  /**
   * `breaking`: a caller of the older version may fail with the newer service. `unknown`: the types have parts that
   * can't be compared. A `compatible` change may still need an order of rollout.
   */
  readonly severity: "compatible" | "breaking" | "unknown";
  readonly breaks: readonly Break[];
  /** Pairs of which it is not known whether they work. */
  readonly unsure: readonly Break[];
  readonly rollout: Rollout;
  /** Value that the one version accepts and the other does not, in words. */
  readonly example?: string;
}

/** Settings of a comparison. */
export interface CompareOptions {
  /** True to try values on patterns of the contracts. Default true; never for contracts of strangers. */
  readonly runsPatterns?: boolean;
  /** True to compare HTTP paths too. Default false: callers inside an app use none. */
  readonly comparesRoutes?: boolean;
}

/** Steps of one comparison of two apis; fewer for contracts of strangers, which are compared while others wait. */
const maxSteps = 200_000;
const maxStepsOfStrangers = 20_000;

/** Lists the differences between two versions of a service's contract, in the order of its apis. */
export function compareContracts(
  older: ContractForm,
  newer: ContractForm,
  { runsPatterns = true, comparesRoutes = false }: CompareOptions = {},
): ContractChange[] {
  const { service } = newer;
  const names = [...new Set([...older.apis, ...newer.apis].map(({ name }) => name))].sort();
  const changes = names.flatMap((name) => {
    const [from, to] = [older, newer].map(({ apis }) => apis.find((own) => own.name === name));
    const trust: Trust = { runsPatterns, effort: { left: runsPatterns ? maxSteps : maxStepsOfStrangers } };
    if (from !== undefined && to !== undefined) return compareApis(service, from, to, { trust, comparesRoutes });
    return [from === undefined ? addedApi(service, to as ApiForm) : removedApi(service, from, newer)];
  });
  if (older.service === service) return changes;
  const renamed = { from: older.service, to: service, breaks: ["old callers", "new callers"] as const };
  return [createChange(service, "", "name", renamed), ...changes];
}

/**
 * Lists the differences because of which a caller can't use a service: those between the contract that the caller was
 * built with and the one of the service, as far as calls by that caller would fail.
 *
 * @param caller Contract of the service as the caller knows it; it may have only the apis that the caller uses.
 */
export function judgeContract(caller: ContractForm, callee: ContractForm): ContractChange[] {
  const used = new Set(caller.apis.map(({ name }) => name));
  const apis = callee.apis.filter(({ name }) => used.has(name));
  // The patterns are those of a peer.
  const changes = compareContracts(caller, { ...callee, apis }, { runsPatterns: false });
  return changes.filter(({ breaks }) => breaks.includes("old callers"));
}

/** Returns the order of rollout that is safe for all changes together. */
export function rolloutOf(changes: readonly Pick<ContractChange, "breaks" | "unsure">[]): Rollout {
  const all = new Set(changes.flatMap(({ breaks, unsure }) => [...breaks, ...unsure]));
  const isOldBroken = all.has("old callers") || all.has("stored tasks");
  if (isOldBroken) return all.has("new callers") ? "none" : "callers first";
  return all.has("new callers") ? "callee first" : "any";
}

interface Difference {
  readonly from: string;
  readonly to: string;
  readonly breaks: readonly Break[];
  readonly unsure?: readonly Break[];
  readonly example?: unknown;
}

function createChange(service: string, api: string, field: string, difference: Difference): ContractChange {
  const { from, to, breaks, unsure = [], example = noSample } = difference;
  const isOldAmong = (pairs: readonly Break[]) => pairs.includes("old callers") || pairs.includes("stored tasks");
  return {
    ...{ service, api, field, from, to },
    severity: isOldAmong(breaks) ? "breaking" : isOldAmong(unsure) ? "unknown" : "compatible",
    ...{ breaks, unsure },
    rollout: rolloutOf([{ breaks, unsure }]),
    ...(example !== noSample && { example: formatExample(example) }),
  };
}

const addedApi = (service: string, { name, kind }: ApiForm): ContractChange =>
  createChange(service, name, "", { from: "absent", to: nameKind(kind), breaks: ["new callers"] });

/** Describes an api that is gone. One of the same types with another name may be the same one, renamed. */
function removedApi(service: string, { name, kind, ...own }: ApiForm, newer: ContractForm): ContractChange {
  const types = writeCanonical([own.input, own.output]);
  const renamed = newer.apis.find((api) => api.kind === kind && writeCanonical([api.input, api.output]) === types);
  const to = renamed === undefined ? "absent" : `absent; ${renamed.name} has the same types`;
  const breaks: Break[] = kind === "task" ? ["old callers", "stored tasks"] : ["old callers"];
  return createChange(service, name, "", { from: nameKind(kind), to, breaks });
}

const nameKind = (kind: ApiForm["kind"]): string => ({ unary: "an api", stream: "a stream", task: "a task" })[kind];

const both: readonly Break[] = ["old callers", "new callers"];

interface ApiSettings {
  readonly trust: Trust;
  readonly comparesRoutes: boolean;
}

function compareApis(
  service: string,
  from: ApiForm,
  to: ApiForm,
  { trust, comparesRoutes }: ApiSettings,
): ContractChange[] {
  const change = (field: string, difference: Difference) => createChange(service, to.name, field, difference);
  if (from.kind !== to.kind) {
    const breaks: Break[] = from.kind === "task" ? [...both, "stored tasks"] : [...both];
    return [change("", { from: nameKind(from.kind), to: nameKind(to.kind), breaks })];
  }
  const changes: ContractChange[] = [];
  if (from.idempotent !== to.idempotent) {
    // A caller sends a lost call again where it knows the api as idempotent.
    const [was, is] = [from, to].map(({ idempotent }) => (idempotent ? "may run twice" : "runs once"));
    const breaks: Break[] = [from.idempotent ? "old callers" : "new callers"];
    changes.push(change("idempotent", { from: was as string, to: is as string, breaks }));
  }
  if (comparesRoutes && from.route !== to.route) {
    changes.push(change("route", { from: from.route, to: to.route, breaks: both }));
  }
  const isTask = to.kind === "task";
  changes.push(...compareInputs(from, to, trust).map((own) => change(own.field, placeInput(own.change, isTask))));
  const outputName = to.kind === "stream" ? "yields" : "output";
  for (const own of findTypeChanges(typeOf(from.output), typeOf(to.output), trust)) {
    changes.push(change(outputName + own.path, placeOutput(own, isTask)));
  }
  const types = (api: ApiForm) => ({
    ...{ input: api.input && (typeOf(api.input) as Type | undefined), output: typeOf(api.output), outputName },
  });
  for (const own of findSizeChanges(types(from), types(to), trust)) changes.push(change(own.field, placeSizes(own)));
  return changes;
}

/** Type of the input of an api that takes none. */
const noInput: Type = typeOf(formOfShape(undefined, "input"));

function compareInputs(from: ApiForm, to: ApiForm, trust: Trust): { field: string; change: TypeChange }[] {
  if (from.takesStream !== to.takesStream) {
    const words = (isStream: boolean) => (isStream ? "a stream" : "one value");
    const apart: Fit = { answer: "no", example: noSample };
    const change = {
      path: "",
      from: words(from.takesStream),
      to: words(to.takesStream),
      forward: apart,
      backward: apart,
    };
    return [{ field: "input", change }];
  }
  const item = to.takesStream ? "input[]" : "input";
  const [older, newer] = [from, to].map(({ input }) => (input === undefined ? noInput : typeOf(input))) as [Type, Type];
  return findTypeChanges(older, newer, trust).map((change) => ({ field: item + change.path, change }));
}

const pairsOf = (broken: readonly (readonly [Fit, readonly Break[]])[], answer: Fit["answer"]): Break[] => [
  ...new Set(broken.flatMap(([fit, pairs]) => (fit.answer === answer ? pairs : []))),
];

function place(
  { from, to, forward, backward }: TypeChange,
  pairs: readonly (readonly [Fit, readonly Break[]])[],
): Difference {
  const example =
    [forward, backward].find((fit) => fit.answer === "no" && fit.example !== noSample)?.example ?? noSample;
  return { from, to, breaks: pairsOf(pairs, "no"), unsure: pairsOf(pairs, "unknown"), example };
}

/** Inputs of older callers, also those in stored tasks, must fit the newer type. */
const placeInput = (change: TypeChange, isTask: boolean): Difference =>
  place(change, [
    [change.forward, isTask ? ["old callers", "stored tasks"] : ["old callers"]],
    [change.backward, ["new callers"]],
  ]);

/** Outputs of the newer service must fit the older type; results that are stored must fit the newer one. */
const placeOutput = (change: TypeChange, isTask: boolean): Difference =>
  place(change, [
    [change.backward, ["old callers"]],
    [change.forward, isTask ? ["new callers", "stored tasks"] : ["new callers"]],
  ]);

function placeSizes({ from, to, part, isNarrower, example }: SizeChange): Difference {
  const isOldBroken = (part === "input") === isNarrower;
  return { from, to, breaks: [isOldBroken ? "old callers" : "new callers"], example };
}
