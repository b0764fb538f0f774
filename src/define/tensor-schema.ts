import { createOwnSchema, type Json, type OwnSchema, ownTypeOf } from "./own-schema.js";
import type { DType, Tensor } from "./tensor.js";
import { readTensor } from "./tensor-forms.js";

type Dims<S extends readonly (number | string)[]> = { readonly [K in keyof S]: S[K] extends number ? S[K] : number };

/** Options of `tensor()`. */
export interface TensorOptions {
  /**
   * Refuses NaN and infinities also in binary forms, where they could be meant. JSON has no form for them. Default
   * false.
   */
  readonly finite?: boolean;
}

/** A schema for tensors, with the dtype and shape that ekiben itself reads. */
export interface TensorSchema<T = Tensor> extends OwnSchema<T> {
  readonly tensor: {
    readonly dtype: DType;
    readonly shape: readonly (number | string)[];
    /** Set when NaN and infinities are refused in every form. */
    readonly finite?: true;
  };
}

/**
 * Makes a schema for tensors, by itself or anywhere inside a schema of zod 4, valibot or arktype:
 * `z.array(tensor("int64", ["n"]))`.
 *
 * It also accepts the JSON forms: nested arrays, and `{ dtype, shape, data }` with `data` in base64.
 *
 * @param dtype Element type.
 * @param shape One entry a dimension: a number, or a name (`"n"`) that stands for any size and must be equal wherever
 *              it appears in the input and output of one call. Inside a list a name holds for each item by itself,
 *              unless it also stands outside the list.
 */
export function tensor<D extends DType, const S extends readonly (number | string)[]>(
  dtype: D,
  shape: S,
  options: TensorOptions = {},
): TensorSchema<Tensor<D, Dims<S>>> {
  const read = (value: unknown) => {
    const result = readTensor(value, dtype, shape.length);
    if (typeof result === "string") return result;
    return shapeProblem(result.shape, shape) ?? (options.finite ? finiteProblem(result) : undefined) ?? result;
  };
  const jsonSchema = () => tensorJsonSchema(dtype, shape);
  const details = { dtype, shape, ...(options.finite === true && { finite: true }) };
  return createOwnSchema({ type: "tensor", read, jsonSchema }, details) as TensorSchema<Tensor<D, Dims<S>>>;
}

/** True for a schema made by `tensor()`. */
export const isTensorSchema = (schema: unknown): schema is TensorSchema => ownTypeOf(schema) === "tensor";

function shapeProblem(actual: readonly number[], declared: readonly (number | string)[]): string | undefined {
  const fits =
    actual.length === declared.length && declared.every((dim, i) => typeof dim === "string" || dim === actual[i]);
  return fits ? undefined : `expected shape [${declared.join(", ")}], got [${actual.join(", ")}]`;
}

function finiteProblem(value: Tensor): string | undefined {
  if (value.dtype !== "float32" && value.dtype !== "float64") return undefined;
  const at = (value.data as Float32Array).findIndex((element) => !Number.isFinite(element));
  return at < 0 ? undefined : `element ${at} is ${value.data[at]}, expected a finite number`;
}

function tensorJsonSchema(dtype: DType, shape: readonly (number | string)[]): Json {
  const element = dtype.startsWith("float") ? { type: "number" } : { type: "integer" };
  const nested = shape.reduceRight<Json>((items, dim) => {
    const bounds = typeof dim === "number" ? { minItems: dim, maxItems: dim } : {};
    return { type: "array", items, ...bounds };
  }, element);
  // Not `prefixItems`: it is more exact, but many tools read it wrongly.
  const sizes = {
    type: "array",
    items: { type: "integer", minimum: 0 },
    minItems: shape.length,
    maxItems: shape.length,
  };
  const encoded = {
    type: "object",
    properties: {
      dtype: { const: dtype },
      shape: shape.some((dim) => typeof dim === "string") ? sizes : { const: shape },
      data: { type: "string", contentEncoding: "base64", description: "little-endian, row-major" },
    },
    required: ["dtype", "shape", "data"],
    additionalProperties: false,
  };
  return { title: `${dtype}[${shape.join(", ")}]`, anyOf: [nested, encoded] };
}
