import { api, task } from "../define/api.js";
import type { Contract } from "../define/contract.js";
import type { ServiceClass } from "../define/depends.js";
import { type JsonSchema, type Schema, stream } from "../define/schema.js";
import { Service } from "../define/service.js";
import { fail } from "../failure/failures.js";
import { type ApiForm, type ContractForm, setContractOf, type TypeForm } from "./contract-form.js";
import { withoutMarks } from "./type-form.js";

/**
 * Makes a class of a contract, without its code: a graph may depend on it, but it can't run there. Its apis have the
 * kinds and the types of the contract, and accept every value: the service that runs elsewhere checks them.
 *
 * Each function throws `contract_without_code`.
 */
export function serviceOfContract(form: ContractForm): ServiceClass {
  const { service } = form;
  const base = Service({ name: service });
  const made = class extends base {
    constructor() {
      super();
      for (const own of form.apis) {
        Object.defineProperty(this, own.name, { value: createApi(service, own), enumerable: true });
      }
    }
    override start(): never {
      throw fail("contract_without_code", { service });
    }
  };
  setContractOf(made, form);
  return Object.defineProperty(made, "name", { value: service });
}

function createApi(service: string, own: ApiForm): unknown {
  const run = () => {
    throw fail("contract_without_code", { service });
  };
  const { input, output, kind, takesStream, idempotent, timeoutMs, route } = own;
  const given = input === undefined ? undefined : createSchema(input);
  const contract: Contract = {
    ...(given !== undefined && { input: takesStream ? stream(given) : given }),
    ...(kind === "stream" ? { yields: createSchema(output) } : { output: createSchema(output) }),
    ...(idempotent && { idempotent }),
    ...(timeoutMs !== undefined && { timeoutMs }),
    route,
  };
  return kind === "task" ? task(contract as never, run) : api(contract as never, run as never);
}

/** Makes a schema that says what a type is and accepts every value. */
function createSchema(type: TypeForm): Schema {
  const plain = withoutMarks(type);
  const jsonSchema = (): JsonSchema => plain;
  return {
    "~standard": {
      ...{ version: 1, vendor: "ekiben", validate: (value: unknown) => ({ value }) },
      jsonSchema: { input: jsonSchema, output: jsonSchema },
    },
  } as unknown as Schema;
}
