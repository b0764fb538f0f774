import { isTensor } from "../define/tensor.js";
import { alternativesOf, type Effort } from "./alternatives.js";
import type { Type } from "./fold-type.js";
import { noSample, sampleOf, type Trust } from "./type-values.js";

// Sizes of tensors that have the same name in one call, compared over two versions of an api.

/** Types of one api. */
export interface CallTypes {
  readonly input: Type | undefined;
  readonly output: Type;
  /** Name of the output in paths: `output` or `yields`. */
  readonly outputName: string;
}

/** Change of a pair of sizes: they were free and are equal now, or the other way. */
export interface SizeChange {
  /** Path of the tensor: `"input.mask"`. */
  readonly field: string;
  readonly from: string;
  readonly to: string;
  readonly part: "input" | "output";
  /** True when the newer version accepts, or gives, fewer values than the older one. */
  readonly isNarrower: boolean;
  /** Input that the one version accepts and the other does not; `noSample` where none is made. */
  readonly example: unknown;
}

/** One axis of a tensor. */
interface Axis {
  readonly field: string;
  readonly axis: number;
  readonly size: number | string;
  /** List in whose items the name holds; `""` outside all lists. */
  readonly scope: string;
}

/** Deepest tensor that is found. */
const maxDepth = 16;
/** Most axes of one api. */
const maxAxes = 200;

/** Finds pairs of sizes that had to be equal in one version only. */
export function findSizeChanges(older: CallTypes, newer: CallTypes, trust: Trust): SizeChange[] {
  const { effort } = trust;
  const [olds, news] = [listAxes(older, effort), listAxes(newer, effort)];
  return [
    ...listPairs(news)
      .filter((pair) => isFree(olds, pair))
      .map((pair) => describe(pair, true, older, trust)),
    ...listPairs(olds)
      .filter((pair) => isFree(news, pair))
      .map((pair) => describe(pair, false, newer, trust)),
  ];
}

type Pair = readonly [Axis, Axis];

function listAxes({ input, output, outputName }: CallTypes, effort: Effort): Axis[] {
  return [
    ...(input === undefined ? [] : collect(input, "input", "", effort)),
    ...collect(output, outputName, "", effort),
  ].slice(0, maxAxes);
}

function collect(type: Type, field: string, scope: string, effort: Effort, depth = 0): Axis[] {
  if (depth > maxDepth || --effort.left < 0) return [];
  const found = alternativesOf(type, effort).map((own): Axis[] => {
    switch (own.kind) {
      case "tensor":
        return own.shape.map((size, axis) => ({ field, axis, size, scope }));
      case "list":
        return collect(own.rest, `${field}[]`, `${field}[]`, effort, depth + 1);
      case "set":
        return collect(own.item, `${field}[]`, `${field}[]`, effort, depth + 1);
      case "map":
        return collect(own.values, `${field}{}`, `${field}{}`, effort, depth + 1);
      case "fields":
        return [...own.fields].flatMap(([name, inner]) => collect(inner, `${field}.${name}`, scope, effort, depth + 1));
      default:
        return [];
    }
  });
  const holding = found.filter((axes) => axes.length > 0);
  // A value does not say which member of a union it is, so sizes are not compared there.
  return holding.length === 1 ? (holding[0] as Axis[]) : [];
}

/** Lists the pairs of axes that must be equal. */
function listPairs(axes: readonly Axis[]): Pair[] {
  return axes.flatMap((a, i) =>
    axes.slice(i + 1).flatMap((b): Pair[] => {
      const isNamed = typeof a.size === "string" && a.size === b.size;
      return isNamed && (b.scope.startsWith(a.scope) || a.scope.startsWith(b.scope)) ? [[a, b]] : [];
    }),
  );
}

/** True when both axes are there and may differ. */
function isFree(axes: readonly Axis[], [first, second]: Pair): boolean {
  const find = ({ field, axis }: Axis) => axes.find((own) => own.field === field && own.axis === axis);
  const [a, b] = [find(first), find(second)];
  return a !== undefined && b !== undefined && a.size !== b.size;
}

function describe([a, b]: Pair, isNarrower: boolean, free: CallTypes, trust: Trust): SizeChange {
  const part = b.field.startsWith("input") ? "input" : "output";
  const [equal, other] = [`size ${b.axis} equals size ${a.axis} of ${a.field}`, `size ${b.axis} is free`];
  const example = part === "input" ? makeExample(b, free.input as Type, trust) : noSample;
  return {
    field: b.field,
    from: isNarrower ? other : equal,
    to: isNarrower ? equal : other,
    part,
    isNarrower,
    example,
  };
}

/** Makes an input in which one axis has another size than all others. */
function makeExample({ field, axis }: Axis, type: Type, trust: Trust): unknown {
  const path = field.slice("input".length);
  const sizeOf = (at: string, own: number) => (at === path && own === axis ? 2 : 1);
  const value = sampleOf(type, { ...trust, sizeOf });
  const steps = path.split(".").slice(1);
  const found = steps.reduce<unknown>((at, step) => (at as Record<string, unknown> | undefined)?.[step], value);
  return isTensor(found) ? value : noSample;
}
