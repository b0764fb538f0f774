import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { browserEntry } from "./architecture/layers.js";
import { parseTree, readSources } from "./architecture/source-tree.js";

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
      ...["base/base64.ts", "base/file-name.ts", "base/is-deeper.ts", "call/value-walk.ts"],
      ...["define/follow-reference.ts", "define/task-paths.ts", "define/tensor-forms.ts", "define/tensor.ts"],
    ]);
    assert.ok(loaded.has("client/connect.ts") && loaded.has("failure/serving-error.ts"));
  });
});
