import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { countHouse, findFaults } from "./architecture/find-faults.js";
import { findInvariantFaults, findWordFaults, listInvariants } from "./architecture/find-word-faults.js";
import { findGlossaryFaults, type GlossaryRow, readGlossary } from "./architecture/glossary.js";
import { type HouseCounts, houseLimits, layers } from "./architecture/layers.js";
import { parseTree, readSources } from "./architecture/source-tree.js";

const root = join(import.meta.dirname, "..");

/** Reads every test and what tests are made of: `test/`, and the unit tests of `src/`. */
function readTests(): Map<string, string> {
  const units = [...readSources(join(root, "src"), "tests too")].filter(([path]) => path.endsWith(".test.ts"));
  return new Map([...units, ...readSources(join(root, "test"), "tests too")]);
}

describe("src/", () => {
  it("keeps the rules of the house: who imports whom, sizes, names, exports", () => {
    const files = parseTree(readSources(join(root, "src")));
    assert.ok(files.length > 50, "the tree was found");
    assert.deepEqual(findFaults(files, layers), []);
  });

  it("has no more files, short files and arrows between folders than it may", () => {
    const counts = countHouse(parseTree(readSources(join(root, "src"))));
    for (const name of Object.keys(houseLimits) as (keyof HouseCounts)[]) {
      assert.ok(counts[name] <= houseLimits[name], `${name}: ${counts[name]}, at most ${houseLimits[name]}`);
    }
  });

  it("states each invariant under a label of its own, and a test cites it", () => {
    const invariants = listInvariants(readSources(join(root, "src")));
    assert.ok(invariants.length > 100, `${invariants.length} invariants were found`);
    assert.deepEqual(findInvariantFaults(invariants, readTests()), []);
  });
});

describe("comments", () => {
  for (const folder of ["src", "test", "scripts", "bench", "examples", "docs-page"]) {
    it(`of ${folder}/ begin with a noun or a verb, and keep to 120 columns`, () => {
      assert.deepEqual(findWordFaults(readSources(join(root, folder), "tests too")), []);
    });
  }

  it("are checked: openers and columns", () => {
    const long = `// ${"x".repeat(120)}`;
    const sources = new Map([
      [
        "a.ts",
        "/** What comes of a call. */\nexport const a = 1;\n/**\n * Of the entry.\n */\nexport const b = 2; // Of no concern\n",
      ],
      [
        "b.ts",
        `${long}\n/** Returns 1. */\nexport const text = "/** What */";\n// https://example.org/${"x".repeat(120)}\n`,
      ],
    ]);
    assert.deepEqual(findWordFaults(sources), [
      'a.ts:1: the doc block begins with "What", not with a noun or a verb',
      'a.ts:3: the doc block begins with "Of", not with a noun or a verb',
      "b.ts:1: the comment has 123 columns, at most 120 are allowed",
    ]);
  });

  it("are checked: labels of invariants", () => {
    const invariants = listInvariants(
      new Map([
        ["a.ts", "// LN1  One.\n// LN2  Two.\n// LN2  Two again.\n"],
        ["b.ts", "// LN3  Three.\n// W1  One letter.\n"],
      ]),
    );
    assert.deepEqual(findInvariantFaults(invariants, new Map([["a.test.ts", "LN1 LN2 LN3"]])), [
      "a.ts states the invariant LN2 twice",
      "b.ts: the prefix of the invariant LN3 is already used by a.ts",
      "b.ts: the invariant W1 has a prefix of one letter, which can't be searched for",
      "b.ts: no test cites the invariant W1",
    ]);
  });
});

describe("docs/glossary.md", () => {
  it("names what the code exports, and the code uses its words", () => {
    const rows = readGlossary(join(root, "docs/glossary.md"));
    assert.ok(rows.length > 30, `${rows.length} words were found`);
    assert.deepEqual(findGlossaryFaults(rows, parseTree(readSources(join(root, "src")))), []);
  });

  it("is checked: rows without an export, twice, and refused words in names", () => {
    const rows: GlossaryRow[] = [
      { word: "replica slot", names: ["ReplicaSlot", "Gone"], refused: ["seat"] },
      { word: "replica slot", names: [], refused: [] },
    ];
    const files = parseTree(new Map([["base/a.ts", "export class ReplicaSlot { addSeats() {} }"]]));
    assert.deepEqual(findGlossaryFaults(rows, files), [
      "the glossary has two rows for replica slot",
      "the glossary names Gone for replica slot: no file exports it",
      "base/a.ts exports ReplicaSlot.addSeats: the glossary's word for seat is replica slot",
    ]);
  });
});

describe("the check of src/", () => {
  const table = { base: { may: [] }, call: { may: ["base"] }, client: { may: ["call:types"] } };
  const find = (sources: Record<string, string>) => findFaults(parseTree(new Map(Object.entries(sources))), table);
  const lines = (count: number) => "// a line\n".repeat(count);

  it("finds nothing in a tree that keeps the rules", () => {
    const faults = find({
      "index.ts": 'export * from "./call/call.js";\n',
      "client.ts": 'export { connect } from "./client/connect.js";\n',
      "base/fifo.ts": "export class Fifo {}\n",
      "base/base64.ts": "export const decodeBase64 = 1;\n",
      "call/call.ts": 'import { Fifo } from "../base/fifo.js";\nexport const queue = new Fifo();\n',
      "client/connect.ts": 'import type { queue } from "../call/call.js";\nexport const connect = 1;\n',
    });
    assert.deepEqual(faults, []);
  });

  it("refuses an import that the table does not name, static, dynamic, of a type or re-exported", () => {
    const imports = [
      'import { queue } from "../call/call.js";',
      'import type { queue } from "../call/call.js";',
      'export { queue } from "../call/call.js";',
      'const lazy = () => import("../call/call.js");',
      'let type: import("../call/call.js").queue;',
    ];
    for (const line of imports) {
      assert.deepEqual(find({ "base/fifo.ts": line, "call/call.ts": "export const queue = 1;" }), [
        "base/fifo.ts imports call/call.ts: base may import nothing",
      ]);
    }
  });

  it("refuses the import of a value where the table allows only types", () => {
    const tree = { "call/call.ts": "export const queue = 1;", "client/a.ts": "" };
    assert.deepEqual(find({ ...tree, "client/a.ts": 'import type { queue } from "../call/call.js";' }), []);
    assert.equal(find({ ...tree, "client/a.ts": 'import { type queue } from "../call/call.js";' }).length, 1);
  });

  it("refuses a folder without a row and a file without a folder", () => {
    assert.deepEqual(find({ "extra/a.ts": "", "loose.ts": "" }), [
      "folder extra has no row in the table of layers",
      "loose.ts lies in no folder and is not an entry",
    ]);
  });

  it("refuses a circle, also one of types", () => {
    const faults = find({
      "base/a.ts": 'import { b } from "./b.js";',
      "base/b.ts": 'import type { c } from "./c.js";',
      "base/c.ts": 'import { a } from "./a.js";',
    });
    assert.deepEqual(faults, [
      "files import one another in a circle: base/a.ts -> base/b.ts -> base/c.ts -> base/a.ts",
    ]);
  });

  it("refuses a circle that a lazy import closes", () => {
    const faults = find({
      "base/serve.ts": 'export const serve = () => import("./start.js");',
      "base/start.ts": 'import type { serve } from "./serve.js";',
    });
    assert.deepEqual(faults, ["files import one another in a circle: base/serve.ts -> base/start.ts -> base/serve.ts"]);
  });

  it("refuses Node's modules and packages in what the client loads", () => {
    const faults = find({
      "client.ts": 'export { connect } from "./client/connect.js";',
      "client/connect.ts": 'import { readFile } from "node:fs";\nimport type { Buffer } from "node:buffer";',
    });
    assert.deepEqual(faults, [
      "client/connect.ts imports node:fs, and client.ts, which runs in browsers, loads client/connect.ts",
    ]);
  });

  it("refuses default exports, and export * outside an entry", () => {
    const faults = find({
      "base/a.ts": "export default class A {}",
      "base/b.ts": "const b = 1;\nexport default b;",
      "base/c.ts": 'export * from "./a.js";',
    });
    assert.deepEqual(faults, [
      "base/a.ts has a default export; name what it exports",
      "base/b.ts has a default export; name what it exports",
      "base/c.ts says export *; only an entry may",
    ]);
  });

  it("refuses a file over 450 lines and a function over 80", () => {
    const faults = find({
      "base/long.ts": lines(451),
      "base/tall.ts": `export const grow = () => {\n${lines(79)}};\nclass Tree { climb() {\n${lines(79)}} }\n`,
      "base/fits.ts": `${lines(360)}export function fit() {\n${lines(78)}}\n`,
    });
    assert.deepEqual(faults, [
      "base/long.ts has 451 lines, at most 450 are allowed",
      "base/tall.ts: grow has 81 lines, at most 80 are allowed",
      "base/tall.ts: climb has 81 lines, at most 80 are allowed",
    ]);
  });

  it("refuses a field of a sealed class that other files can write", () => {
    const faults = find({
      "call/call-scope.ts": `export class CallScope {
  readonly call = 1;
  #reason = 1;
  private reader = 1;
  get reason() { return this.#reason; }
  set reason(value) { this.#reason = value; }
  slot = -1;
}`,
      "call/call-queue.ts": "export class CallQueue { size = 0; }",
    });
    assert.deepEqual(faults, [
      "call/call-scope.ts: other files can write CallScope.reason; make it readonly, or private with a method",
      "call/call-scope.ts: other files can write CallScope.slot; make it readonly, or private with a method",
    ]);
  });

  it("refuses names that say nothing, numbered twins, and other than kebab-case", () => {
    const faults = find({
      "base/call-util.ts": "",
      "base/proxy.ts": "export class ProxyManager {}",
      "base/proxy2.ts": "",
      "base/someThing.ts": "",
    });
    assert.deepEqual(faults, [
      'base/call-util.ts: the name call-util says "util", which says nothing',
      'base/proxy.ts: the name ProxyManager says "manager", which says nothing',
      "base/proxy2.ts is a numbered twin of base/proxy.ts",
      "base/someThing.ts is not named in kebab-case",
    ]);
  });
});
