import type { ApiKind } from "../define/api-kind.js";
import type { ApiDescriptor } from "../define/descriptor.js";
import { describeInput, type InputForm } from "./input-form.js";
import { describeOutput, type OutputForm } from "./output-form.js";

/** One api as the edge serves it: what can be prepared before the first request. */
export interface ApiRoute {
  readonly service: string;
  readonly name: string;
  readonly kind: ApiKind;
  /** Of a task: hands it in, instead of waiting for its result. */
  readonly submits: boolean;
  readonly path: string;
  readonly input: InputForm;
  readonly output: OutputForm;
  readonly descriptor: ApiDescriptor;
}

/** Prepares an api of the entry service for serving. */
export function createApiRoute(service: string, descriptor: ApiDescriptor): ApiRoute {
  const { name, kind, route, contract } = descriptor;
  const input = describeInput(contract.input);
  return { service, name, kind, submits: false, path: route, input, output: describeOutput(descriptor), descriptor };
}
