import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { testStore } from "./tasks/store-conformance.js";

const folder = mkdtempSync(join(tmpdir(), "ekiben-tasks-"));
let places = 0;
after(() => rmSync(folder, { recursive: true, force: true }));

testStore({
  name: "SQLite",
  createPlace: async () => ({ engine: "sqlite", folder: join(folder, String(++places)) }),
});
