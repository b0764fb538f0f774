import assert from "node:assert/strict";
import { SourceMap } from "node:module";
import { describe, it } from "node:test";
import { build } from "esbuild";
import { trimMap } from "./trim-map.js";

describe("trimMap", () => {
  it("keeps every mapping of the files that stay, and none of the others", async () => {
    const files: Readonly<Record<string, string>> = {
      "own.ts":
        'import { helper } from "package";\nexport const first = 1;\nhelper(() => {\n  throw new Error("here");\n});',
      package: "export function helper(run) {\n  return run();\n}",
    };
    const { outputFiles } = await build({
      entryPoints: ["own.ts"],
      ...{
        bundle: true,
        write: false,
        sourcemap: "external",
        outfile: "out.js",
        format: "esm",
        minifyWhitespace: true,
      },
      plugins: [
        {
          name: "files",
          setup: (own) => {
            own.onResolve({ filter: /.*/ }, ({ path }) => ({ path, namespace: path === "own.ts" ? "own" : "other" }));
            own.onLoad({ filter: /.*/ }, ({ path }) => ({ contents: files[path] ?? "", loader: "ts" }));
          },
        },
      ],
    });
    const textOf = (ending: string) => outputFiles.find(({ path }) => path.endsWith(ending))?.text ?? "";
    const [code, text] = [textOf("out.js"), textOf(".map")];
    const whole = new SourceMap(JSON.parse(text));
    const trimmed = JSON.parse(trimMap(text, (source) => source.startsWith("own")));
    assert.deepEqual(trimmed.sources, ["own:own.ts"]);
    const map = new SourceMap(trimmed);
    let kept = 0;
    code.split("\n").forEach((line, row) => {
      for (let column = 0; column < line.length; column++) {
        const before = whole.findEntry(row, column);
        const after = map.findEntry(row, column);
        const place = (entry: typeof before) =>
          "originalLine" in entry ? [entry.originalLine, entry.originalColumn] : [];
        if ("originalSource" in before && before.originalSource.startsWith("own")) {
          kept++;
          assert.deepEqual(place(after), place(before));
        }
      }
    });
    assert.ok(kept > 20);
  });
});
