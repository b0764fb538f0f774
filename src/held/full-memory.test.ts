import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import { describe, it } from "node:test";
import { FakeClock } from "../../test/fake-clock.js";
import { silentLogger } from "../base/logger.js";
import { FullMemory } from "./memory-files.js";

describe("FullMemory", () => {
  it("says once an hour that there is no room, with the numbers and what to do", () => {
    const clock = new FakeClock();
    const lines: [object, string | undefined][] = [];
    const log = { ...silentLogger, warn: (fields: object, message?: string) => lines.push([fields, message]) };
    const full = new FullMemory(log, clock);
    const error = Object.assign(new Error("write"), { code: "ENOSPC" });
    full.note(Object.assign(new Error("open"), { code: "EMFILE" }), tmpdir(), 1);
    full.note(undefined, tmpdir(), 1);
    assert.equal(lines.length, 0);
    for (let i = 0; i < 3; i++) full.note(error, tmpdir(), 5 * 1024 ** 2);
    assert.equal(lines.length, 1);
    assert.match(
      lines[0]?.[1] ?? "",
      /^shared memory is full: no room for 5\.0 MiB in .* \(\d+\.\d MiB of \d+\.\d MiB are free\)\. .*--shm-size/,
    );
    clock.advance(3_600_000);
    full.note(error, "/no/such/folder", 1);
    assert.match(
      lines[1]?.[1] ?? "",
      /^shared memory is full: no room for 0\.0 MiB in \/no\/such\/folder\. Large values/,
    );
  });
});
