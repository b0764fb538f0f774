/** A JSON Schema as the OpenAPI document writes it. The page reads these keywords and skips all others. */
export interface Schema {
  readonly $ref?: string;
  readonly title?: string;
  readonly description?: string;
  readonly type?: string | readonly string[];
  readonly format?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema | boolean;
  readonly items?: Schema;
  readonly prefixItems?: readonly Schema[];
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly default?: unknown;
  readonly examples?: readonly unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly multipleOf?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly uniqueItems?: boolean;
  readonly contentEncoding?: string;
  readonly contentMediaType?: string;
  readonly deprecated?: boolean;
}

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

let root: unknown = {};

/** Sets the document that references point into. */
export function setDocument(document: unknown): void {
  root = document;
}

/** Longest chain of references that is followed. */
const maxReferences = 8;

/** Returns the object that a reference points to, with the parts of an `allOf` merged; `{}` for anything else. */
export function resolve<T extends object = Schema>(given: T | { readonly $ref: string } | boolean | undefined): T {
  let found: unknown = given;
  for (let i = 0; i < maxReferences && isObject(found) && typeof found["$ref"] === "string"; i++) {
    const { $ref, ...rest } = found as { readonly $ref: string };
    found = { ...(follow($ref) as object), ...rest };
  }
  if (!isObject(found)) return {} as T;
  return (Array.isArray(found["allOf"]) ? mergeParts(found as Schema) : found) as T;
}

function follow(reference: string): unknown {
  const keys = reference.split("/").slice(1);
  const find = (node: unknown, key: string) =>
    (node as Record<string, unknown> | undefined)?.[
      decodeURIComponent(key).replaceAll("~1", "/").replaceAll("~0", "~")
    ];
  return keys.reduce<unknown>(find, root);
}

function mergeParts({ allOf = [], ...own }: Schema): Schema {
  const parts = [...allOf.map((part) => resolve(part)), own];
  const properties = parts.flatMap((part) => (part.properties === undefined ? [] : [part.properties]));
  const required = parts.flatMap((part) => (part.required === undefined ? [] : [part.required]));
  return {
    ...Object.assign({}, ...parts),
    ...(properties.length > 0 && { properties: Object.assign({}, ...properties) }),
    ...(required.length > 0 && { required: required.flat() }),
  };
}

const tensorForm = /^(?:float|int|uint|bool)\d*\[(.*)\]$/;

/** Returns the title of a tensor's schema, such as `float32[n, 2]`; `undefined` for other schemas. */
export const tensorOf = (schema: Schema): string | undefined => tensorForm.exec(schema.title ?? "")?.[0];

/** True when a value is a file: bytes in a body or a form, an object with base64 in JSON. */
export const isFile = (schema: Schema): boolean =>
  (schema.title === "file" && schema.properties?.["data"] !== undefined) ||
  schema.format === "binary" ||
  (schema.type === undefined && schema.contentMediaType !== undefined);

export const branchesOf = (schema: Schema): readonly Schema[] | undefined =>
  (schema.anyOf ?? schema.oneOf)?.map((branch) => resolve(branch));

/** Returns the name of the definition that a schema refers to, to show it beside the type. */
export const refName = (schema: Schema | undefined): string | undefined =>
  /\/\$defs\/([A-Za-z]\w*)$/.exec(schema?.$ref ?? "")?.[1];

/** Drops a bound that only says "an integer that a double holds": it tells a reader nothing. */
export const bound = (value: number | undefined): number | undefined =>
  value === undefined || Math.abs(value) >= Number.MAX_SAFE_INTEGER ? undefined : value;
