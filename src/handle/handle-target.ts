import type { TaskOperation } from "../call/task-operation.js";
import type { ApiDescriptor } from "../define/descriptor.js";
import type { CallRoute } from "./call-route.js";

/** A service as one caller reaches it: a route for each api. */
export interface HandleTarget {
  readonly service: string;
  readonly apis: ReadonlyMap<string, ApiDescriptor>;
  /** @param operation Of a task, or `"call"` for calling it; absent: the api itself, with its own bounds. */
  readonly routeOf: (api: ApiDescriptor, operation?: TaskOperation | "call") => CallRoute;
}
