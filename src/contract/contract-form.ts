import { createHash } from "node:crypto";
import type { ServiceDescriptor } from "../define/descriptor.js";
import type { ApiKind } from "../define/handle-type.js";
import { formOfShape, type TypeForm, writeCanonical } from "./type-form.js";

const formKey: unique symbol = Symbol.for("ekiben.contract");

export { type TypeForm, writeCanonical } from "./type-form.js";

/** Version of the form itself. A reader refuses a form of another version. */
export const contractVersion = 1;

/**
 * A service as its callers know it: plain JSON, without code. Two services with equal forms can stand for one another.
 *
 * Defaults, texts and examples are not in it: they are the service's own affair.
 */
export interface ContractForm {
  readonly contract: typeof contractVersion;
  readonly service: string;
  /** Sorted by name. */
  readonly apis: readonly ApiForm[];
}

/** One api in a contract. */
export interface ApiForm {
  readonly name: string;
  readonly kind: ApiKind;
  /** True when the input is a stream; `input` is then the type of its items. */
  readonly takesStream: boolean;
  /** Type of the values that a caller sends; absent when the api takes no input. */
  readonly input?: TypeForm;
  /** Type of the values that a caller receives: of the answer, of each item of a stream, of the result of a task. */
  readonly output: TypeForm;
  /** True when a caller may send a lost call again. */
  readonly idempotent: boolean;
  /** Longest time of a call, as its author declared it. Absent for the default. */
  readonly timeoutMs?: number;
  /** HTTP path. Only callers over HTTP use it. */
  readonly route: string;
}

/** Notes the contract that a class is made of, in place of code. */
export const setContractOf = (service: object, form: ContractForm): void => {
  Object.defineProperty(service, formKey, { value: form });
};

/** Returns the contract that a class is made of; `undefined` for a class with code. */
export const readContractOf = (service: object): ContractForm | undefined =>
  Object.hasOwn(service, formKey) ? (service as { readonly [formKey]?: ContractForm })[formKey] : undefined;

/** Describes a service to its callers. */
export function contractForm({ name: service, service: made, apis, options }: ServiceDescriptor): ContractForm {
  const given = readContractOf(made);
  if (given !== undefined) return given;
  const forms = [...apis.values()].map(({ name, kind, contract, takesStream, route }): ApiForm => {
    const { input, output, yields } = contract;
    const timeoutMs = readMilliseconds(contract.timeoutMs ?? options.timeoutMs);
    return {
      ...{ name, kind, takesStream },
      ...(input !== undefined && { input: formOfShape(input, "input") }),
      output: formOfShape(yields ?? output, "output"),
      idempotent: contract.idempotent === true,
      ...(timeoutMs !== undefined && { timeoutMs }),
      route,
    };
  });
  return { contract: contractVersion, service, apis: forms.sort((a, b) => (a.name < b.name ? -1 : 1)) };
}

const readMilliseconds = (value: unknown): number | undefined =>
  Number.isSafeInteger(value) && Number(value) > 0 ? Number(value) : undefined;

/** Digest of a value as JSON: 32 hexadecimal digits, whatever the order of its fields. */
export const digestOf = (value: unknown): string =>
  createHash("sha256").update(writeCanonical(value)).digest("hex").slice(0, 32);

/** Returns a digest of a form. It is the same on every machine for equal forms. */
export const contractDigest = (form: ContractForm): string => digestOf(form);
