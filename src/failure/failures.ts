import { callFailures } from "./call-failures.js";
import { definitionFailures } from "./definition-failures.js";
import { hostFailures } from "./host-failures.js";
import { httpFailures } from "./http-failures.js";
import { linkFailures } from "./link-failures.js";
import { replicaFailures } from "./replica-failures.js";
import { storeFailures } from "./store-failures.js";
import { taskFailures } from "./task-failures.js";

export type { FailureRow, GraphFault, Issue } from "./failure-row.js";

/** Every failure ekiben itself can raise. Ids are public API: they are never renamed or reused. */
export const failures = {
  ...definitionFailures,
  ...callFailures,
  ...replicaFailures,
  ...linkFailures,
  ...httpFailures,
  ...hostFailures,
  ...storeFailures,
  ...taskFailures,
};

/** The id of a row of the failure table. */
export type FailureId = keyof typeof failures;
