import { buildFailures } from "./build-failures.js";
import { callFailures } from "./call-failures.js";
import { clientFailures, clientFixes } from "./client-failures.js";
import { createFailure, type FailureOrigin } from "./create-failure.js";
import { definitionFailures } from "./definition-failures.js";
import { edgeFailures } from "./edge-failures.js";
import type { FailureRow } from "./failure-row.js";
import { hostFailures } from "./host-failures.js";
import { httpFailures } from "./http-failures.js";
import { modelFailures } from "./model-failures.js";
import { linkFailures, replicaFailures } from "./replica-failures.js";
import type { ServingError } from "./serving-error.js";
import { storeFailures, taskFailures } from "./task-failures.js";

export type { FailureRow, GraphFault, Issue } from "./failure-row.js";

type Fixed<Rows> = { readonly [Id in keyof Rows]: Rows[Id] & Pick<FailureRow<never>, "fix"> };

const fixedEntries = Object.entries(clientFailures).map(([id, row]) => {
  return [id, { ...row, fix: clientFixes[id as keyof typeof clientFixes] }] as const;
});

/** Every failure ekiben itself can raise. Ids are public API: they are never renamed or reused. */
export const failures = {
  ...definitionFailures,
  ...(Object.fromEntries(fixedEntries) as Fixed<typeof clientFailures>),
  ...callFailures,
  ...replicaFailures,
  ...linkFailures,
  ...edgeFailures,
  ...httpFailures,
  ...hostFailures,
  ...buildFailures,
  ...storeFailures,
  ...taskFailures,
  ...modelFailures,
};

/** Id of a row of the failure table. */
export type FailureId = keyof typeof failures;

/** Numbers and names that the text of failure `Id` needs. */
export type FailureDetails<Id extends FailureId> = Parameters<(typeof failures)[Id]["text"]>[0];

/**
 * Makes the `ServingError` of one row of the failure table.
 *
 * @param id      Id of the row.
 * @param details Values that its text names; sent to the caller as `details`.
 * @param place   Service and api, when known where it is raised.
 */
export function fail<Id extends FailureId>(id: Id, details: FailureDetails<Id>, place?: FailureOrigin): ServingError {
  return createFailure(id, failures[id], details, place);
}
