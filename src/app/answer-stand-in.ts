import { fail } from "../failure/fail.js";
import type { StandInAnswers } from "../runtime/stand-in-server.js";
import type { App } from "./start-app.js";

/** What a stand-in for the entry replicas asks of an app. */
export async function answerStandIn<What extends keyof StandInAnswers>(
  app: App,
  what: What,
): Promise<StandInAnswers[What]> {
  const answers: { readonly [W in keyof StandInAnswers]: () => Promise<StandInAnswers[W]> } = {
    readiness: app.readiness,
    metrics: app.metrics,
    failure: async () => createFailure(app),
  };
  return answers[what]();
}

/** What a call of the entry service would fail with now. */
function createFailure({ graph, plan, entryDown }: App): StandInAnswers["failure"] {
  const service = graph.entry;
  const down = entryDown();
  const replicas = plan.deployments.find(({ descriptor }) => descriptor.name === service)?.replicas ?? 1;
  const failure =
    down === undefined
      ? fail("no_ready_replica", { replicas }, { service })
      : fail("service_failed", { service, ...down, retryAfterMs: down.delayMs }, { service });
  const { message, code, id, details } = failure;
  const body = { error: message, code, id, service, api: "", details };
  return { body, retryAfter: Math.max(1, Math.ceil((down?.delayMs ?? 0) / 1000)) };
}
