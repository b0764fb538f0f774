import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe } from "node:test";
import { type ComposedApp, compose } from "ekiben/testing";
import { testChecks } from "./conformance/check-tests.js";
import { testFailures } from "./conformance/failure-tests.js";
import { testMutations } from "./conformance/mutation-tests.js";
import { Front } from "./conformance/services/front.js";
import type { Suite } from "./conformance/suite.js";
import { testValues } from "./conformance/value-tests.js";

// A call means the same wherever the replica that answers it lives: one list of promises, kept in every placement.

for (const placement of ["inline", "thread", "process"] as const) {
  describe(`in placement ${placement}`, () => {
    let app: ComposedApp<Front>;
    let folder: string;
    let files = 0;
    const suite: Suite = {
      placement,
      app: () => app,
      newFile: () => join(folder, `file-${++files}`),
    };

    before(async () => {
      folder = mkdtempSync(join(tmpdir(), "ekiben-conformance-"));
      app = await compose(Front, { placement });
    });
    after(async () => {
      await app?.close();
      rmSync(folder, { recursive: true, force: true });
    });

    testValues(suite);
    testMutations(suite);
    testChecks(suite);
    testFailures(suite);
  });
}
