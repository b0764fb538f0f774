import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { parseTree, readSources } from "./architecture/source-tree.js";

const root = join(import.meta.dirname, "..");

describe("docs/request-path.md", () => {
  const files = new Map(parseTree(readSources(join(root, "src"))).map((file) => [file.path, file]));
  const page = readFileSync(join(root, "docs/request-path.md"), "utf8");
  const journeys = page
    .split(/^## /m)
    .map(readStops)
    .filter((stops) => stops.length > 0);

  it("names the stops of a request, and those of a replica's life", () => {
    assert.equal(journeys.length, 2);
    for (const stops of journeys) {
      const numbers = stops.map(({ number }) => number);
      assert.ok(numbers.length >= 10, `${numbers.length} stops were found`);
      assert.deepEqual(
        numbers,
        numbers.map((_, i) => i + 1),
      );
    }
  });

  for (const { file, name } of journeys.flat()) {
    if (file === undefined) continue;
    it(`tells the truth about ${file}${name === undefined ? "" : `: it exports ${name}`}`, () => {
      const source = files.get(file);
      assert.ok(source !== undefined, `src/${file} does not exist`);
      if (name !== undefined) assert.ok(source.exports.includes(name), `it exports ${source.exports.join(", ")}`);
    });
  }

  it("names files that exist beside its tables, too", () => {
    const named = [...page.matchAll(/`((?:[a-z]+\/)+[a-z-]+\.ts)`/g)].map(([, file]) => file as string);
    assert.deepEqual(
      named.filter((file) => !files.has(file)),
      [],
    );
  });

  it("has at most 18 stops for a request", () => {
    assert.ok((journeys[0]?.length ?? 0) <= 18, `${journeys[0]?.length} stops`);
  });
});

for (const page of ["ARCHITECTURE.md", "CONTRIBUTING.md"]) {
  it(`${page} names files that exist`, () => {
    const named = [
      ...readFileSync(join(root, page), "utf8").matchAll(/`((?:src|test|docs|bench|scripts)\/[\w./-]+)`/g),
    ];
    const missing = named.map(([, file]) => file as string).filter((file) => !existsSync(join(root, file)));
    assert.ok(named.length > 0);
    assert.deepEqual(missing, []);
  });
}

interface Stop {
  readonly number: number;
  /** Absent for the author's own code. */
  readonly file: string | undefined;
  /** Absent for a file that is run, not imported. */
  readonly name: string | undefined;
}

/** Reads the rows `| stop | \`file\` | \`name\` | …`. */
function readStops(markdown: string): Stop[] {
  const rows = markdown.matchAll(/^\|\s*(\d+)\s*\|\s*(?:`([^`|]+\.ts)`|[^`|]*)\s*\|\s*(?:`([^`|]+)`|[^`|]*)\s*\|/gm);
  return [...rows].map(([, number, file, name]) => ({ number: Number(number), file, name }));
}
