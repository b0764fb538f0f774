import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { parseTree, readSources } from "./architecture/source-tree.js";

const root = join(import.meta.dirname, "..");

describe("docs/request-path.md", () => {
  const files = new Map(parseTree(readSources(join(root, "src"))).map((file) => [file.path, file]));
  const stops = readStops(readFileSync(join(root, "docs/request-path.md"), "utf8"));

  it("names the stops of a request", () => {
    assert.ok(stops.length >= 10, `${stops.length} stops were found`);
  });

  for (const { file, name } of stops) {
    it(`tells the truth about ${file}: it exports ${name}`, () => {
      const source = files.get(file);
      assert.ok(source !== undefined, `src/${file} does not exist`);
      assert.ok(source.exports.includes(name), `it exports ${source.exports.join(", ")}`);
    });
  }
});

/** Reads the rows `| stop | \`file\` | \`function\` | …`; a stop without a file is the author's own code. */
function readStops(markdown: string): { file: string; name: string }[] {
  const rows = markdown.matchAll(/^\|[^|]*\|\s*`([^`|]+\.ts)`\s*\|\s*`([^`|]+)`\s*\|/gm);
  return [...rows].map(([, file, name]) => ({ file: file as string, name: name as string }));
}
