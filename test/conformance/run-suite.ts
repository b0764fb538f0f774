import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe } from "node:test";
import type { AppFile } from "ekiben";
import { type ComposedApp, compose } from "ekiben/testing";
import { testBatches } from "./batch-tests.js";
import { testBlocking } from "./blocking-tests.js";
import { testCaches } from "./cache-tests.js";
import { testCancels } from "./cancel-tests.js";
import { testChecks } from "./check-tests.js";
import { testContext } from "./context-tests.js";
import { testDeadlines } from "./deadline-tests.js";
import { testFailures } from "./failure-tests.js";
import { testGraph } from "./graph-tests.js";
import { testInputStreamEnds } from "./input-stream-ends.js";
import { testInputStreams } from "./input-stream-tests.js";
import { testInterceptors } from "./intercept-tests.js";
import { testLanes } from "./lane-tests.js";
import { testMutations } from "./mutation-tests.js";
import { testOrder } from "./order-tests.js";
import { RemoteApps } from "./remote-apps.js";
import { testReplicas } from "./replica-tests.js";
import { testReuse } from "./reuse-tests.js";
import { Front } from "./services/front.js";
import { testStreams } from "./stream-tests.js";
import { testStreamUse } from "./stream-use-tests.js";
import { LogBook, type PlacementName, type Suite } from "./suite.js";
import { testTasks } from "./task-tests.js";
import { testValues } from "./value-tests.js";

// A call means the same wherever its replica lives: the same list of promises is tested in every placement.

/** Calls wait this long for a killed replica to return, however slow the machine is. */
const patience: AppFile = { waitForReplicaMs: 60_000 };
/**
 * Tests all promises in one placement. Each placement has a test file of its own, so that they run side by side.
 *
 * @param isRemote True to run each service but the entry in an app of its own, called over TLS.
 */
export function runSuite(name: string, placement: PlacementName, options: AppFile = {}, isRemote = false): void {
  describe(`in placement ${name}`, () => {
    let app: ComposedApp<Front>;
    let apps: RemoteApps | undefined;
    let folder: string;
    let files = 0;
    const log = new LogBook();
    const suite: Suite = {
      placement,
      isRemote,
      app: () => app,
      logged: (message) => log.take(message),
      newFile: () => join(folder, `file-${++files}`),
    };

    before(async () => {
      folder = mkdtempSync(join(tmpdir(), "ekiben-conformance-"));
      const all = { ...patience, ...options };
      if (isRemote) apps = await RemoteApps.start({ folder, options: all, log: log.logger });
      const own = await compose(Front, { placement, log: log.logger, options: apps?.options ?? all });
      app = apps?.extend(own) ?? own;
    });
    after(async () => {
      await app?.close();
      await apps?.stop();
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
    testBlocking(suite);
    testBatches(suite);
    testInterceptors(suite);
    testCaches(suite);
    testContext(suite);
    testGraph(suite);
    testReplicas(suite);
    testTasks(suite);
    testOrder(suite);
  });
}
