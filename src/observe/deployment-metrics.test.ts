import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createDeploymentMetrics } from "./deployment-metrics.js";
import { formatMetrics } from "./metrics.js";

describe("createDeploymentMetrics", () => {
  it("says of each service how its replicas are, and how much is asked of them", async () => {
    const states = { ready: 2, out: 0, starting: 1, waiting: 0, down: 0 };
    const figures = { service: "Model", isDown: false, states, restarts: 3, demand: 17 };
    const { body } = await formatMetrics([createDeploymentMetrics([figures])]);
    for (const line of [
      'ekiben_service_down{service="Model"} 0',
      'ekiben_replicas{service="Model",state="ready"} 2',
      'ekiben_replicas{service="Model",state="starting"} 1',
      'ekiben_replica_restarts_total{service="Model"} 3',
      'ekiben_service_demand{service="Model"} 17',
    ])
      assert.ok(body.split("\n").includes(line), `${line} is missing in\n${body}`);
  });
});
