import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { build, type OutputFile } from "esbuild";
import { clientFailures } from "../src/failure/client-failures.js";
import { failures } from "../src/failure/failures.js";
import { browserEntry } from "./architecture/layers.js";
import { parseTree, readSources } from "./architecture/source-tree.js";

/** Largest size of the client in a page: minified, and packed with gzip. */
const [maxBytes, maxPackedBytes] = [35_500, 13_500];

describe("ekiben/client", () => {
  it("loads itself, failures, tensors, paths of tasks, names of files and base64, and nothing of a server or of Node", () => {
    const files = new Map(parseTree(readSources(join(import.meta.dirname, "../src"))).map((file) => [file.path, file]));
    const loaded = new Set<string>();
    const queue = [browserEntry];
    for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
      if (loaded.has(path)) continue;
      loaded.add(path);
      for (const { file, specifier, isType } of files.get(path)?.imports ?? []) {
        if (isType) continue;
        assert.ok(file !== undefined, `${path} imports ${specifier}`);
        queue.push(file);
      }
    }
    const others = [...loaded].filter((path) => !/^(client|failure)[./]/.test(path)).sort();
    assert.deepEqual(others, [
      ...["base/base64.ts", "base/file-name.ts", "base/follow-states.ts", "base/is-deeper.ts"],
      ...["base/promised-input.ts", "base/repeat-pace.ts"],
      "call/value-walk.ts",
      ...["define/follow-reference.ts", "define/task-paths.ts", "define/tensor-forms.ts", "define/tensor.ts"],
    ]);
    assert.ok(loaded.has("client/connect.ts") && loaded.has("failure/serving-error.ts"));
  });

  it("is small in a page, and has no text of a failure that only a server raises", async () => {
    const { outputFiles } = await build({
      stdin: { contents: 'export * from "./src/client.ts";', resolveDir: join(import.meta.dirname, "..") },
      ...{ bundle: true, minify: true, write: false, format: "esm", platform: "browser", target: "es2022" },
    });
    const [{ contents: code, text }] = outputFiles as [OutputFile];
    assert.ok(code.byteLength <= maxBytes, `${code.byteLength} bytes, at most ${maxBytes}`);
    const packed = gzipSync(code).byteLength;
    assert.ok(packed <= maxPackedBytes, `${packed} bytes packed, at most ${maxPackedBytes}`);
    assert.match(text, /connection_lost/);
    const others = Object.keys(failures).filter((id) => !Object.hasOwn(clientFailures, id) && text.includes(`${id}:{`));
    assert.deepEqual(others, []);
  });
});
