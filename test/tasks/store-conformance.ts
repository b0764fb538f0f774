import { testClaim } from "./claim-tests.js";
import { testEnds } from "./end-tests.js";
import { testHolds } from "./hold-tests.js";
import { testKeys } from "./key-tests.js";
import { testLists } from "./list-tests.js";
import { testMarks } from "./mark-tests.js";
import { testProcesses } from "./process-tests.js";
import { testSubmit } from "./submit-tests.js";
import type { StoreEngine } from "./test-stores.js";
import { testUpkeep } from "./upkeep-tests.js";
import { testValues } from "./value-tests.js";
import { testWatch } from "./watch-tests.js";

/** Tests all promises of `TaskStore` on one engine. */
export function testStore(engine: StoreEngine): void {
  testSubmit(engine);
  testClaim(engine);
  testEnds(engine);
  testHolds(engine);
  testLists(engine);
  testWatch(engine);
  testKeys(engine);
  testUpkeep(engine);
  testValues(engine);
  testMarks(engine);
  testProcesses(engine);
}
