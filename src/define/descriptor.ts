import type { GraphFault } from "../failure/failures.js";
import type { ApiKind } from "./api-kind.js";
import type { Contract } from "./contract.js";
import type { EdgeOptions, ServiceClass } from "./depends.js";
import type { ServiceOptions } from "./service.js";

/** One api of a service, as declared. */
export interface ApiDescriptor {
  readonly name: string;
  readonly kind: ApiKind;
  readonly contract: Contract;
  /** Whether the input is a stream. */
  readonly takesStream: boolean;
  /** HTTP path. */
  readonly route: string;
}

/** One dependency of a service, as declared. */
export interface DependencyDescriptor {
  /** The class field; `"(private)"` where it is a `#field`. */
  readonly field: string;
  readonly target: ServiceClass;
  readonly options: EdgeOptions;
}

/** A service as its author declared it: plain data, apart from the class itself. */
export interface ServiceDescriptor {
  readonly name: string;
  readonly service: ServiceClass;
  readonly options: ServiceOptions;
  /** In declaration order. */
  readonly apis: ReadonlyMap<string, ApiDescriptor>;
  readonly dependencies: readonly DependencyDescriptor[];
  /** In a test: functions that answer in place of the class, which is then never constructed again. */
  readonly fake?: Readonly<Record<string, (input: any) => unknown>>;
  /** What is wrong with the declaration itself. */
  readonly faults: readonly GraphFault[];
}
