import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";

const examples = join(import.meta.dirname, "../examples");

/** Packages that a file imports when it runs. */
function readPackages(file: string): string[] {
  const text = readFileSync(file, "utf8");
  const imports = text.matchAll(/^(?:import|export)\b(?! type\b)[^;]*? from "([^"]+)"|\bimport\("([^"]+)"\)/gm);
  return [...imports].flatMap(([, name = "", late = name]) => {
    const [scope = "", rest = ""] = late.split("/");
    if (late.startsWith(".") || late.startsWith("node:")) return [];
    return [scope.startsWith("@") ? `${scope}/${rest}` : scope];
  });
}

const folders = readdirSync(examples, { withFileTypes: true }).filter((entry) => entry.isDirectory());

describe("the examples", () => {
  for (const { name } of folders) {
    it(`name what they import in their dependencies, so that a copy of them runs: ${name}`, () => {
      const folder = join(examples, name);
      const { dependencies } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as {
        dependencies: Record<string, string>;
      };
      const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter(
        (file) => /(?<!\.test|\.d)\.ts$/.test(file) && !file.includes("node_modules"),
      );
      const used = files.flatMap((file) => readPackages(join(folder, file)));
      assert.ok(used.length > 0, `${files.length} files`);
      assert.deepEqual(
        [...new Set(used)].filter((needed) => !Object.hasOwn(dependencies, needed)),
        [],
      );
    });
  }
});
