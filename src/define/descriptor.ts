import { isName } from "../base/name-pattern.js";
import { type Copy, ownCopy } from "../base/shared-state.js";
import { outsideCallers } from "../call/call.js";
import { operationApi, taskOperations } from "../call/task-state.js";
import { settlePromises } from "../call/value-walk.js";
import { fail, type GraphFault } from "../failure/failures.js";
import { textOf } from "../failure/read-thrown.js";
import type { ServingError } from "../failure/serving-error.js";
import { type ApiDefinition, nameRun, readApi } from "./api.js";
import { cacheProblem } from "./cache-options.js";
import { type Contract, contractProblem } from "./contract.js";
import { type ConstructionScope, constructIn, type EdgeOptions, type ServiceClass } from "./depends.js";
import type { ApiKind } from "./handle-type.js";
import { interceptProblem } from "./interceptor.js";
import { type ModelDescriptor, readModels } from "./model.js";
import { findLostResource, isResource } from "./resource.js";
import { findScheduleProblem } from "./schedule.js";
import { isStreamSchema } from "./schema.js";
import {
  readServiceCopy,
  readServiceOptions,
  reservedNames,
  type ServiceHooks,
  type ServiceOptions,
} from "./service.js";

/** One api of a service, as declared. */
export interface ApiDescriptor {
  readonly name: string;
  readonly kind: ApiKind;
  readonly contract: Contract;
  /** True when the input is a stream. */
  readonly takesStream: boolean;
  /** HTTP path. */
  readonly route: string;
}

/** One dependency of a service, as declared. */
interface DependencyDescriptor {
  /** Name of the class field, `"voters[0]"` or `"models.small"` in a list or a record; `"(private)"` for a `#field`. */
  readonly field: string;
  readonly target: ServiceClass;
  readonly options: EdgeOptions;
}

/** A service as its author declared it. Plain data, apart from the class itself. */
export interface ServiceDescriptor {
  readonly name: string;
  readonly service: ServiceClass;
  readonly options: ServiceOptions;
  /** Apis by name, in the order of their fields. */
  readonly apis: ReadonlyMap<string, ApiDescriptor>;
  readonly dependencies: readonly DependencyDescriptor[];
  /** Models, in the order of their fields. */
  readonly models: readonly ModelDescriptor[];
  /** Functions of a test that answer in place of the class, which is then never constructed again. */
  readonly fake?: Readonly<Record<string, (input: any) => unknown>>;
  /** Faults of the declaration itself. */
  readonly faults: readonly GraphFault[];
}

/**
 * Constructs a service class once and reads what it declares. Nothing is started and no dependency is constructed.
 *
 * @throws {ServingError} `not_a_service` for anything but a class that extends `Service()`. Every other fault is in the
 *   descriptor, so that all faults of a graph can be reported together.
 */
export function compileService(service: ServiceClass): ServiceDescriptor {
  const options = readServiceOptions(service);
  if (options === undefined) throw fail("not_a_service", { what: formatClass(service) });
  const name = options.name ?? service.name;
  const copy = readServiceCopy(service);
  if (copy?.version !== ownCopy.version) return compileForeign({ name, service, options }, copy);
  const wiring = new WiringScope();
  let instance: Record<string, unknown> = {};
  const faults: GraphFault[] = [];
  const addFault = (field: string, error: ServingError) => faults.push(toFault(name, field, error));
  try {
    const hasLost = findLostResource(() => {
      instance = constructIn(wiring, () => new service()) as ServiceHooks & Record<string, unknown>;
      return instance;
    });
    if (hasLost) addFault("", fail("resource_out_of_place", {}));
  } catch (error) {
    settlePromises(error);
    addFault("", fail("constructor_failed", { error: textOf(error) }, { cause: error }));
  }
  if (!isName(name)) addFault("", fail("invalid_name", { what: "service", name }));
  const meaning = Object.hasOwn(outsideCallers, name) ? outsideCallers[name] : undefined;
  if (meaning !== undefined) addFault("", fail("reserved_service_name", { name, meaning }));
  const own = readApi(instance["intercept"]) === undefined ? instance["intercept"] : undefined;
  for (const problem of [interceptProblem(options.intercept), interceptProblem(own)]) {
    if (problem !== undefined) addFault("intercept", fail("invalid_interceptor", { problem }));
  }
  const apis = new Map<string, ApiDescriptor>();
  for (const [field, value] of Object.entries(instance)) {
    const definition = readApi(value);
    const isDeclared = definition !== undefined || wiring.fieldOf(value) !== undefined || isResource(value);
    if (isDeclared && reservedNames.includes(field)) addFault(field, fail("reserved_name", { name: field }));
    if (definition !== undefined && !isName(field)) addFault(field, fail("invalid_name", { what: "api", name: field }));
    if (definition !== undefined) {
      nameRun(definition, `${name}.${field}`);
      apis.set(field, compileApi(field, definition, addFault));
    }
  }
  for (const { name: task, kind } of apis.values()) {
    const taken = kind === "task" ? taskOperations.map((operation) => operationApi(task, operation)) : [];
    for (const operation of taken.filter((own) => apis.has(own))) {
      addFault(
        operation,
        fail("invalid_contract", { problem: `${operation} is the name of an operation of the task ${task}` }),
      );
    }
  }
  const models = readModels(instance);
  for (const { field, problem } of models) {
    if (problem !== undefined) addFault(field, fail("invalid_model", { problem }));
    if (reservedNames.includes(field)) addFault(field, fail("reserved_name", { name: field }));
  }
  const dependencies = wiring.edges.map(({ handle, target, edge }): DependencyDescriptor => {
    const field = findField(instance, handle) ?? "(private)";
    if (readServiceOptions(target) === undefined) addFault(field, fail("not_a_service", { what: formatClass(target) }));
    const problem = interceptProblem(edge?.intercept);
    if (problem !== undefined) addFault(field, fail("invalid_interceptor", { problem }));
    const affinity: unknown = edge?.affinity;
    if (affinity !== undefined && typeof affinity !== "function") {
      const expected = "a function that returns a text or a number";
      addFault(field, fail("invalid_option", { option: "affinity", value: affinity, expected, source: "depends()" }));
    }
    return { field, target, options: edge };
  });
  return Object.freeze({ name, service, options, apis, dependencies, models, faults });
}

/** Finds the field with a handle: the field itself, or a list or a record of handles in it. */
function findField(instance: Readonly<Record<string, unknown>>, handle: object): string | undefined {
  const fields = Object.entries(instance);
  const own = fields.find(([, value]) => value === handle);
  if (own !== undefined) return own[0];
  for (const [name, value] of fields) {
    const index = Array.isArray(value) ? value.indexOf(handle) : -1;
    if (index >= 0) return `${name}[${index}]`;
    const key = isRecord(value) ? Object.keys(value).find((inner) => value[inner] === handle) : undefined;
    if (key !== undefined) return `${name}.${key}`;
  }
  return undefined;
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;

/**
 * Describes a class of another version of ekiben. It can't be constructed here, so the descriptor has only that fault.
 */
function compileForeign(
  known: Pick<ServiceDescriptor, "name" | "service" | "options">,
  other: Copy | undefined,
): ServiceDescriptor {
  const fault = toFault(known.name, "", fail("two_copies", { own: ownCopy, other }));
  return Object.freeze({ ...known, apis: new Map(), dependencies: [], models: [], faults: [fault] });
}

/** Turns a failure into one line of the list that `invalid_graph` shows. */
export function toFault(service: string, field: string, error: ServingError): GraphFault {
  return { id: error.id, service, field, message: error.message, fix: error.fix ?? "" };
}

function compileApi(
  field: string,
  definition: ApiDefinition,
  addFault: (field: string, error: ServingError) => void,
): ApiDescriptor {
  const problem = contractProblem(definition.contract, definition.kind);
  if (problem !== undefined) addFault(field, fail("invalid_contract", { problem }));
  else if (definition.kind === "task") {
    const found = findScheduleProblem(definition.contract);
    if (found !== undefined) addFault(`${field}.${found.field}`, fail("invalid_schedule", { problem: found.problem }));
  }
  const misfit = problem === undefined ? cacheProblem(definition.contract, definition.kind) : undefined;
  if (misfit !== undefined) addFault(field, fail("invalid_cache", { problem: misfit }));
  const route = definition.contract?.route ?? `/${field}`;
  const contract = definition.contract ?? {};
  return Object.freeze({
    name: field,
    kind: definition.kind,
    contract,
    route,
    takesStream: isStreamSchema(contract.input),
  });
}

function formatClass(value: unknown): string {
  if (value === undefined) return "undefined (do two files import each other?)";
  return typeof value === "function" ? `class ${value.name}` : String(value);
}

interface Wire {
  readonly handle: object;
  readonly target: ServiceClass;
  readonly edge: EdgeOptions;
}

/** Records the edges of a class. Its handles throw, since it is too early to call them. */
class WiringScope implements ConstructionScope {
  readonly edges: Wire[] = [];

  depends(target: ServiceClass, edge: EdgeOptions): object {
    const dependency = (target as { name?: string } | undefined)?.name ?? "undefined";
    const handle = new Proxy(
      {},
      {
        get: (_, api) => {
          if (typeof api === "symbol" || api === "then") return undefined;
          return () => {
            throw fail("handle_before_start", { dependency, api });
          };
        },
      },
    );
    this.edges.push({ handle, target, edge });
    return handle;
  }

  fieldOf(value: unknown): Wire | undefined {
    return this.edges.find((edge) => edge.handle === value);
  }
}
