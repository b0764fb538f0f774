import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe } from "node:test";
import type { AppFile } from "ekiben";
import { type ComposedApp, compose } from "ekiben/testing";
import { testBatches } from "./conformance/batch-tests.js";
import { testCancels } from "./conformance/cancel-tests.js";
import { testChecks } from "./conformance/check-tests.js";
import { testContext } from "./conformance/context-tests.js";
import { testDeadlines } from "./conformance/deadline-tests.js";
import { testFailures } from "./conformance/failure-tests.js";
import { testGraph } from "./conformance/graph-tests.js";
import { testInputStreamEnds } from "./conformance/input-stream-ends.js";
import { testInputStreams } from "./conformance/input-stream-tests.js";
import { testLanes } from "./conformance/lane-tests.js";
import { testMutations } from "./conformance/mutation-tests.js";
import { testOrder } from "./conformance/order-tests.js";
import { testReplicas } from "./conformance/replica-tests.js";
import { testReuse } from "./conformance/reuse-tests.js";
import { Front } from "./conformance/services/front.js";
import { testStreams } from "./conformance/stream-tests.js";
import { testStreamUse } from "./conformance/stream-use-tests.js";
import { LogBook, type PlacementName, type Suite } from "./conformance/suite.js";
import { testTasks } from "./conformance/task-tests.js";
import { testValues } from "./conformance/value-tests.js";

// A call means the same wherever the replica that answers it lives: one list of promises, kept in every placement.

/** However slow the machine: calls wait until a replica that was killed is back. */
const patience: AppFile = { holdMs: 60_000 };
const inlineMiddle: AppFile = { services: { Middle: { placement: "inline" } } };

const apps: readonly { name: string; placement: PlacementName; options?: AppFile }[] = [
  { name: "inline", placement: "inline" },
  { name: "thread", placement: "thread" },
  { name: "process", placement: "process" },
  { name: "process, with a service that lives in its callers", placement: "process", options: inlineMiddle },
];

for (const { name, placement, options } of apps) {
  describe(`in placement ${name}`, () => {
    let app: ComposedApp<Front>;
    let folder: string;
    let files = 0;
    const log = new LogBook();
    const suite: Suite = {
      placement,
      app: () => app,
      logged: (message) => log.take(message),
      newFile: () => join(folder, `file-${++files}`),
    };

    before(async () => {
      folder = mkdtempSync(join(tmpdir(), "ekiben-conformance-"));
      app = await compose(Front, { placement, log: log.logger, options: { ...patience, ...options } });
    });
    after(async () => {
      await app?.close();
      rmSync(folder, { recursive: true, force: true });
    });

    testValues(suite);
    testMutations(suite);
    testReuse(suite);
    testChecks(suite);
    testFailures(suite);
    testStreams(suite);
    testStreamUse(suite);
    testInputStreams(suite);
    testInputStreamEnds(suite);
    testDeadlines(suite);
    testCancels(suite);
    testLanes(suite);
    testBatches(suite);
    testContext(suite);
    testGraph(suite);
    testReplicas(suite);
    testTasks(suite);
    testOrder(suite);
  });
}
