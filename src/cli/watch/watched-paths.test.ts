import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { WatchedPaths } from "./watch-files.js";

const create = (serviceFile = "/app/src/service.ts", appFile?: string) =>
  new WatchedPaths({ folder: "/app", serviceFile, appFile });

describe("WatchedPaths", () => {
  it("has sources, JSON and .env files of the project, at any depth", () => {
    const paths = create();
    const files = [
      "src/service.ts",
      "a.mts",
      "a.cts",
      "a.tsx",
      "a.js",
      "a.mjs",
      "a.cjs",
      "a.jsx",
      "deep/er/labels.json",
    ];
    const env = [".env", ".env.local", "conf/test.env"];
    for (const file of [...files, ...env]) assert.equal(paths.hasFile(`/app/${file}`), true, file);
  });

  it("has neither other files nor temporary files of editors", () => {
    const paths = create();
    const files = ["model.onnx", "README.md", "model.ts~", ".#model.ts", "._model.ts", ".model.ts.swp", "4913", "ts"];
    for (const file of files) assert.equal(paths.hasFile(`/app/${file}`), false, file);
    assert.equal(paths.hasFile("/other/a.ts"), false);
    assert.equal(paths.hasFile("/app-two/a.ts"), false);
  });

  it("looks into no folder of packages, of output, or that is hidden", () => {
    const paths = create();
    for (const folder of [
      "node_modules",
      "src/node_modules",
      ".git",
      "src/.cache",
      "dist",
      "packages/a/build",
      "coverage",
    ]) {
      assert.equal(paths.hasFolder(`/app/${folder}`), false, folder);
      assert.equal(paths.hasFolder(`/app/${folder}/deeper`), false, folder);
      assert.equal(paths.hasFile(`/app/${folder}/a.js`), false, folder);
    }
    assert.equal(paths.hasFolder("/app"), true);
    assert.equal(paths.hasFolder("/app/src/builders"), true);
    assert.equal(paths.hasFolder("/"), false);
  });

  it("looks into a folder of output that holds the service file, but not into others", () => {
    const paths = create("/app/dist/server/service.js");
    assert.equal(paths.hasFile("/app/dist/server/model.js"), true);
    assert.equal(paths.hasFile("/app/dist/labels.json"), true);
    assert.equal(paths.hasFile("/app/dist/build/a.js"), false);
    assert.equal(paths.hasFile("/app/build/a.js"), false);
  });

  it("has the given app file wherever it is, and nothing else there", () => {
    const paths = create("/app/service.ts", "/etc/serving/prod.config.ts");
    assert.deepEqual(paths.folders, ["/app", "/etc/serving"]);
    assert.equal(paths.hasFile("/etc/serving/prod.config.ts"), true);
    assert.equal(paths.hasFile("/etc/serving/other.ts"), false);
    assert.deepEqual(create("/app/service.ts", "/app/conf/prod.ts").folders, ["/app"]);
    assert.deepEqual(create("/app/service.ts", "/app/dist/prod.ts").folders, ["/app", "/app/dist"]);
  });
});
