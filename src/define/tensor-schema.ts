import type { JsonSchema, Schema } from "./schema.js";
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
export interface TensorSchema<T = Tensor> extends Schema<T, T> {
  readonly tensor: { readonly dtype: DType; readonly shape: readonly (number | string)[] };
}

/**
 * Makes a Standard Schema for tensors.
 *
 * It also accepts the JSON forms: nested arrays, and `{ dtype, shape, data }` with `data` in base64.
 *
 * @param dtype Element type.
 * @param shape One entry a dimension: a number, or a name (`"n"`) that stands for any size and must be equal wherever
 *              it appears in the input and output of one call.
 */
export function tensor<D extends DType, const S extends readonly (number | string)[]>(
  dtype: D,
  shape: S,
  options: TensorOptions = {},
): TensorSchema<Tensor<D, Dims<S>>> {
  const schema: TensorSchema = {
    tensor: { dtype, shape },
    "~standard": {
      version: 1,
      vendor: "ekiben",
      validate: (value) => {
        const result = readTensor(value, dtype, shape.length);
        if (typeof result === "string") return { issues: [{ message: result }] };
        const problem = shapeProblem(result.shape, shape) ?? (options.finite ? finiteProblem(result) : undefined);
        return problem === undefined ? { value: result } : { issues: [{ message: problem }] };
      },
      jsonSchema: { input: () => tensorJsonSchema(dtype, shape), output: () => tensorJsonSchema(dtype, shape) },
    } as Schema["~standard"],
  };
  return schema as TensorSchema<Tensor<D, Dims<S>>>;
}

/** True for a schema made by `tensor()`. */
export function isTensorSchema(schema: unknown): schema is TensorSchema {
  return typeof schema === "object" && schema !== null && "tensor" in schema && "~standard" in schema;
}

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

function tensorJsonSchema(dtype: DType, shape: readonly (number | string)[]): JsonSchema {
  const element = dtype.startsWith("float") ? { type: "number" } : { type: "integer" };
  const nested = shape.reduceRight<JsonSchema>((items, dim) => {
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
