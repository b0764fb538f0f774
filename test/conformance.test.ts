import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe } from "node:test";
import { type ComposedApp, compose } from "ekiben/testing";
import { testCancels } from "./conformance/cancel-tests.js";
import { testChecks } from "./conformance/check-tests.js";
import { testContext } from "./conformance/context-tests.js";
import { testDeadlines } from "./conformance/deadline-tests.js";
import { testFailures } from "./conformance/failure-tests.js";
import { testGraph } from "./conformance/graph-tests.js";
import { testLanes } from "./conformance/lane-tests.js";
import { testMutations } from "./conformance/mutation-tests.js";
import { testOrder } from "./conformance/order-tests.js";
import { testReplicas } from "./conformance/replica-tests.js";
import { Front } from "./conformance/services/front.js";
import { testStreams } from "./conformance/stream-tests.js";
import { LogBook, type Suite } from "./conformance/suite.js";
import { testValues } from "./conformance/value-tests.js";

// A call means the same wherever the replica that answers it lives: one list of promises, kept in every placement.

for (const placement of ["inline", "thread", "process"] as const) {
  describe(`in placement ${placement}`, () => {
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
      app = await compose(Front, { placement, log: log.logger });
    });
    after(async () => {
      await app?.close();
      rmSync(folder, { recursive: true, force: true });
    });

    testValues(suite);
    testMutations(suite);
    testChecks(suite);
    testFailures(suite);
    testStreams(suite);
    testDeadlines(suite);
    testCancels(suite);
    testLanes(suite);
    testContext(suite);
    testGraph(suite);
    testReplicas(suite);
    testOrder(suite);
  });
}
