import type { EdgeOptions, ServiceClass } from "../define/depends.js";
import type { ServiceDescriptor } from "../define/descriptor.js";

/** Service `from` calls service `to` through the class field `field`. */
export interface GraphEdge {
  readonly from: string;
  readonly field: string;
  readonly to: string;
  /** The class that `depends()` names; in a test another may stand in for it. */
  readonly target: ServiceClass;
  readonly options: EdgeOptions;
}

/** The services and edges reachable from an entry service. */
export interface Graph {
  /** Name of the service whose apis are public. */
  readonly entry: string;
  /** By name, callees before callers; the entry is last. */
  readonly services: ReadonlyMap<string, ServiceDescriptor>;
  /** In declaration order, callers in the order of `services`. */
  readonly edges: readonly GraphEdge[];
}
