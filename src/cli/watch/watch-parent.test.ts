import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "../../../test/fake-clock.js";
import { type ParentProcess, readProcess, watchParent } from "./watch-parent.js";

const npm = { npm_lifecycle_event: "start" };

/** Processes above this one, as a test says: this one is a child of 100, that of 50, that of 10. */
function createWatch(name: string, env: Record<string, string> = npm) {
  const clock = new FakeClock();
  const processes = new Map<number, ParentProcess>([
    [100, { name, parent: 50 }],
    [50, { name: "npm start", parent: 10 }],
  ]);
  let parentId = 100;
  let gone = 0;
  const stop = watchParent({
    ...{ clock, env },
    readParentId: () => parentId,
    read: (pid) => processes.get(pid),
    onGone: () => gone++,
  });
  const passes = () => {
    clock.advance(1_000);
    return gone;
  };
  /** A process ends; what it leaves behind belongs to process 1. */
  const end = (pid: number) => {
    processes.delete(pid);
    if (parentId === pid) parentId = 1;
    for (const [id, own] of processes) if (own.parent === pid) processes.set(id, { ...own, parent: 1 });
  };
  return { clock, passes, end, stop };
}

describe("watchParent", () => {
  it("tells once when npm ends that started this process itself", () => {
    const { clock, passes, end } = createWatch("npm start");
    assert.equal(passes(), 0);
    end(100);
    assert.equal(passes(), 1);
    assert.deepEqual([passes(), clock.pendingTimers], [1, 0]);
  });

  it("tells when npm ends while its shell still waits for this process", () => {
    const { passes, end } = createWatch("sh");
    end(50);
    assert.equal(passes(), 1);
  });

  it("ignores a process that a script put into the background: its shell ends first", () => {
    const { passes, end } = createWatch("sh");
    end(100);
    assert.equal(passes(), 0);
    end(50);
    assert.equal(passes(), 0);
  });

  it("ignores other parents, however they end, and processes above npm", () => {
    const other = createWatch("bash", {});
    other.end(100);
    assert.deepEqual([other.passes(), other.clock.pendingTimers], [0, 0]);
    const disowned = createWatch("npm start");
    disowned.end(50);
    assert.equal(disowned.passes(), 0);
  });

  it("reports nothing after it was ended", () => {
    const { clock, passes, end, stop } = createWatch("npm start");
    stop();
    end(100);
    assert.deepEqual([passes(), clock.pendingTimers], [0, 0]);
  });
});

describe("readProcess", () => {
  const skip = process.platform === "linux" ? false : "only Linux shows processes as files";
  it("knows the name and the parent of a process, and `undefined` without such a process", { skip }, () => {
    assert.equal(readProcess(process.pid)?.parent, process.ppid);
    assert.notEqual(readProcess(process.pid)?.name, "");
    assert.equal(readProcess(2 ** 30), undefined);
  });
});
