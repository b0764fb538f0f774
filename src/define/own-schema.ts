import type { StandardSchemaV1 } from "@standard-schema/spec";

/** A JSON Schema. */
export type Json = { [keyword: string]: unknown };

/**
 * A schema of ekiben's own: a Standard Schema that zod 4 and valibot also take for one of theirs, so that it may stand
 * anywhere inside their schemas. arktype takes any Standard Schema.
 *
 * The parts for a library are made when that library first reads them. Neither is imported.
 */
export interface OwnSchema<I = any, O = I> {
  /** Any vendor: valibot's types want their own name here. */
  readonly "~standard": Omit<StandardSchemaV1.Props<I, O>, "vendor"> & { readonly vendor: any };
  /** Parts of a zod schema. @internal */
  readonly _zod: ZodParts<I, O>;
  /** Parts of a valibot schema. @internal */
  readonly kind: "schema";
  /** @internal */
  readonly type: string;
  /** @internal */
  readonly expects: string;
  /** @internal */
  readonly async: false;
  /** @internal */
  readonly reference: (...args: any[]) => any;
  /** @internal */
  readonly "~run": (dataset: any, config: any) => any;
  /** @internal */
  readonly "~types"?: { readonly input: I; readonly output: O; readonly issue: never } | undefined;
}

/**
 * Parts of a zod schema that its containers read. All but the two types are `any`, since zod's own types name the minor
 * version they belong to.
 */
interface ZodParts<I, O> {
  readonly input: I;
  readonly output: O;
  def: any;
  version: any;
  deferred: any;
  run: any;
  parse: any;
  traits: any;
  pattern: any;
  constr: any;
  bag: any;
  isst: any;
  readonly optin?: undefined;
  readonly optout?: undefined;
  readonly values?: undefined;
  readonly propValues?: undefined;
  toJSONSchema?: () => unknown;
}

/** Rules of one own schema. */
interface OwnRules {
  /** Names the type in failures of valibot. */
  readonly type: "file" | "tensor";
  /** Returns the checked value, or its problem in words. */
  readonly read: (value: unknown) => object | string;
  readonly jsonSchema: () => Json;
}

/** Value that an own schema answers with itself. arktype holds the schemas inside its types only in closures. */
export const ownProbe = Symbol.for("ekiben.schema");

/** Payload that zod passes to a schema. */
interface ZodPayload {
  value: unknown;
  readonly issues: object[];
}

/** Dataset that valibot passes to a schema. */
interface Dataset {
  typed: boolean;
  value: unknown;
  issues?: object[];
}

class OwnSchemaObject {
  // Own properties: valibot copies those of the first part of a pipe.
  readonly kind = "schema";
  readonly type: string;
  readonly expects: string;
  readonly async = false;
  readonly reference = (): this => this;
  readonly #rules: OwnRules;
  #standard: object | undefined;
  #zod: object | undefined;

  constructor(rules: OwnRules) {
    this.type = rules.type;
    this.expects = rules.type;
    this.#rules = rules;
  }

  get "~standard"(): object {
    return (this.#standard ??= this.#createStandard());
  }

  get _zod(): object {
    return (this.#zod ??= this.#createZod());
  }

  "~run"(dataset: Dataset): Dataset {
    const { value } = dataset;
    const read = this.#rules.read(value);
    if (typeof read === "string") {
      const { kind, type, expects } = this;
      const issue = { kind, type, input: value, expected: expects, received: typeof value, message: read };
      dataset.typed = false;
      if (dataset.issues === undefined) dataset.issues = [issue];
      else dataset.issues.push(issue);
    } else {
      dataset.typed = true;
      dataset.value = read;
    }
    return dataset;
  }

  #createStandard(): object {
    const { read, jsonSchema } = this.#rules;
    const validate = (value: unknown) => {
      if (value === ownProbe) return { value: this };
      const result = read(value);
      return typeof result === "string" ? { issues: [{ message: result }] } : { value: result };
    };
    return { version: 1, vendor: "ekiben", validate, jsonSchema: { input: jsonSchema, output: jsonSchema } };
  }

  #createZod(): object {
    const { read, jsonSchema } = this.#rules;
    const parse = (payload: ZodPayload): ZodPayload => {
      const result = read(payload.value);
      if (typeof result !== "string") payload.value = result;
      else payload.issues.push({ code: "custom", message: result, input: payload.value, inst: this, path: [] });
      return payload;
    };
    return {
      def: { type: "custom" },
      version: { major: 4, minor: 0, patch: 0 },
      traits: new Set(["$ZodType"]),
      bag: {},
      parse,
      run: parse,
      constr: OwnSchemaObject,
      toJSONSchema: jsonSchema,
    };
  }
}

/** Creates an own schema. @param details Value of its property `rules.type`, by which ekiben itself knows it. */
export function createOwnSchema(rules: OwnRules, details: object): unknown {
  const schema = new OwnSchemaObject(rules);
  // Not copied into a pipe of valibot, whose output may be something else.
  return Object.defineProperty(schema, rules.type, { value: details });
}

/** Returns the type of an own schema; `undefined` for any other value. */
export function ownTypeOf(schema: unknown): OwnRules["type"] | undefined {
  if (typeof schema !== "object" || schema === null || !("~standard" in schema)) return undefined;
  if ("file" in schema) return "file";
  return "tensor" in schema ? "tensor" : undefined;
}
