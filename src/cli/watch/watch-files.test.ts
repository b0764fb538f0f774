import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { createDeferred, systemClock } from "../../base/clock.js";
import { ServingError } from "../../failure/serving-error.js";
import { failToWatch, WatchedPaths, watchFiles } from "./watch-files.js";

/** A project in a folder of its own, watched. */
function watchProject(files: Readonly<Record<string, string>>) {
  const folder = mkdtempSync(join(tmpdir(), "ekiben-watch-"));
  const write = (name: string, text: string) => {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  };
  for (const [name, text] of Object.entries(files)) write(name, text);
  const changed = new Set<string>();
  let onChange = () => {};
  const watch = watchFiles({
    paths: new WatchedPaths({ folder, serviceFile: join(folder, "service.ts") }),
    clock: systemClock,
    onChange(paths) {
      for (const path of paths) changed.add(path.slice(folder.length + 1));
      onChange();
    },
    onFailure: (error) => assert.fail(String(error)),
  });
  return {
    folder,
    write,
    /** Resolves when all these have been seen; fails when anything else was. */
    async until(...names: string[]): Promise<void> {
      while (!names.every((name) => changed.has(name))) {
        const next = createDeferred<void>();
        onChange = next.resolve;
        await next.promise;
      }
      assert.deepEqual([...changed].sort(), names.sort());
      changed.clear();
    },
    [Symbol.dispose]() {
      watch.close();
      rmSync(folder, { recursive: true });
    },
  };
}

/** The watches that this process holds in the kernel, as Linux lists them with each descriptor. */
function countKernelWatches(): number {
  const lines = readdirSync("/proc/self/fdinfo").flatMap((name) => {
    const path = `/proc/self/fdinfo/${name}`;
    return existsSync(path) ? readFileSync(path, "utf8").split("\n") : [];
  });
  return lines.filter((line) => line.startsWith("inotify ")).length;
}

const isLinux = process.platform === "linux";

describe("watchFiles", () => {
  it("sees a file that is written, put in another's place, made, or deleted", async () => {
    using project = watchProject({ "service.ts": "1", "model.ts": "1", "lib/labels.json": "[]" });
    project.write("model.ts", "2");
    await project.until("model.ts");
    project.write("model.ts.new", "3");
    renameSync(join(project.folder, "model.ts.new"), join(project.folder, "model.ts"));
    await project.until("model.ts");
    project.write("lib/labels.json", "[1]");
    project.write("lib/made.ts", "1");
    await project.until("lib/labels.json", "lib/made.ts");
    rmSync(join(project.folder, "lib/made.ts"));
    await project.until("lib/made.ts");
  });

  it("sees what lies in a folder that is made, moved, or deleted and made again", async () => {
    using project = watchProject({ "service.ts": "1", "old/a.ts": "1" });
    project.write("made/deep/b.ts", "1");
    await project.until("made/deep/b.ts");
    project.write("made/deep/b.ts", "2");
    await project.until("made/deep/b.ts");
    renameSync(join(project.folder, "old"), join(project.folder, "new"));
    await project.until("old/a.ts", "new/a.ts");
    project.write("new/a.ts", "2");
    await project.until("new/a.ts");
    rmSync(join(project.folder, "new"), { recursive: true });
    project.write("new/c.ts", "1");
    await project.until("new/a.ts", "new/c.ts");
    project.write("new/c.ts", "2");
    await project.until("new/c.ts");
  });

  it("ignores saves without a change, and folders that are not watched", async () => {
    using project = watchProject({ "service.ts": "1", "model.ts": "1", "node_modules/a/a.js": "1", "dist/a.js": "1" });
    project.write("service.ts", "1");
    project.write("node_modules/a/a.js", "2");
    project.write("dist/a.js", "2");
    project.write("node_modules/b/b.js", "1");
    project.write("notes.md", "1");
    project.write("model.ts", "2");
    await project.until("model.ts");
  });

  it("misses no file of a new folder, whenever the file is written (WF1)", { timeout: 60_000 }, async () => {
    using project = watchProject({ "service.ts": "1" });
    const names: string[] = [];
    for (let i = 0; i < 120; i++) {
      mkdirSync(join(project.folder, `made-${i}`));
      for (const name of [`made-${i}/a.ts`, `made-${i}/b.ts`]) {
        for (let turn = 0; turn < i % 40; turn++) await nextTurn();
        project.write(name, "1");
        names.push(name);
      }
    }
    await project.until(...names);
  });

  const skip = isLinux ? false : "only Linux lists the watches of a process";
  it("holds one watch for each folder, none for a file, and releases all (WF2)", {
    skip,
    timeout: 60_000,
  }, async () => {
    const before = countKernelWatches();
    const names = Array.from({ length: 2_000 }, (_, i) => `folder-${i % 40}/file-${i}.ts`);
    {
      using project = watchProject(Object.fromEntries(["service.ts", ...names].map((name) => [name, "1"])));
      assert.equal(countKernelWatches() - before, 41);
      for (const name of names) project.write(name, "2");
      await project.until(...names);
    }
    // The handles of closed watches are freed by the event loop.
    await nextTurn();
    assert.equal(countKernelWatches(), before);
  });

  it("does not follow a link to a folder, and sees a link to a file that is replaced", async () => {
    using other = watchProject({ "service.ts": "1", "a.ts": "1", "b.ts": "2" });
    using project = watchProject({ "service.ts": "1" });
    symlinkSync(other.folder, join(project.folder, "linked"));
    symlinkSync(join(other.folder, "a.ts"), join(project.folder, "model.ts"));
    await project.until("model.ts");
    other.write("b.ts", "3");
    await other.until("b.ts");
    rmSync(join(project.folder, "model.ts"));
    symlinkSync(join(other.folder, "b.ts"), join(project.folder, "model.ts"));
    await project.until("model.ts");
  });
});

describe("failToWatch", () => {
  it("says which limit is reached and how to raise it", () => {
    const error = failToWatch("/app", "ENOSPC");
    assert.ok(error instanceof ServingError);
    assert.equal(error.message, "/app can't be watched: the system's limit of watched folders is reached (ENOSPC)");
    assert.match(error.fix ?? "", /sysctl fs\.inotify\.max_user_watches=/);
    assert.match(failToWatch("/app", "EMFILE").fix ?? "", /max_user_instances/);
    assert.match(failToWatch("/", "it is one of more than 10000 folders").fix ?? "", /package\.json beside/);
  });
});
