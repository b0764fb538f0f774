import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { createSocketFolder, listPlaces } from "./app-folders.js";

const root = mkdtempSync("/tmp/ekiben-places-");
after(() => rmSync(root, { recursive: true, force: true }));

/** An existing folder whose path has so many bytes, filled up with one letter. */
function createPlace(bytes: number, letter = "d"): string {
  const free = bytes - Buffer.byteLength(root) - 1;
  const letters = letter.repeat(Math.floor(free / Buffer.byteLength(letter)));
  const path = join(root, letters + "d".repeat(free - Buffer.byteLength(letters)));
  mkdirSync(path, { recursive: true });
  assert.equal(Buffer.byteLength(path), bytes);
  return path;
}

const short = { path: root, name: "the short one" };

describe("createSocketFolder", () => {
  for (const letter of ["d", "駅", "é"]) {
    it(`takes a place of any length, of "${letter}", or the next one, and its longest socket can be listened on`, async () => {
      let taken = 0;
      for (let bytes = 60; bytes <= 110; bytes++) {
        const path = createPlace(bytes, letter);
        const { folder, refused } = createSocketFolder([{ path, name: "TMPDIR" }, short]);
        const isFirst = folder.startsWith(`${path}/ekiben-`);
        assert.equal(refused.length, isFirst ? 0 : 1);
        if (isFirst) taken++;
        else {
          const [{ place, problem } = assert.fail()] = refused;
          assert.equal(place, `TMPDIR (${path})`);
          assert.match(problem, new RegExp(`^its path has ${bytes} bytes, and at most 7\\d leave room`));
        }
        assert.equal(statSync(folder).mode & 0o777, 0o700);
        // The path is short enough for the hundred-millionth socket too, and not cut to another's.
        const address = join(folder, "123456789.sock");
        const server = net.createServer();
        await new Promise<void>((resolve, reject) => server.once("error", reject).listen(address, resolve));
        assert.ok(existsSync(address));
        await new Promise((resolve) => server.close(resolve));
      }
      assert.ok(taken > 10 && taken < 20, String(taken));
    });
  }

  it("passes over places that are not there or no folders, and names each where none is left", () => {
    const file = join(root, "a-file");
    writeFileSync(file, "");
    const places = [
      { path: join(root, "not-there"), name: "TMPDIR" },
      { path: file, name: file },
      { path: createPlace(105), name: "XDG_RUNTIME_DIR" },
    ];
    assert.throws(() => createSocketFolder(places), {
      id: "no_socket_folder",
      message:
        /TMPDIR \(.*not-there\): ENOENT: there is no such file or folder; .*a-file: ENOTDIR: it is not a folder; XDG_RUNTIME_DIR \(.*\): its path has 105 bytes/,
      fix: /Set TMPDIR to a folder with a short path/,
    });
    const { refused } = createSocketFolder([...places, short]);
    assert.equal(refused.length, 3);
  });

  it("passes over places where it may not write", {
    skip: process.getuid?.() === 0 && "root may write everywhere",
  }, () => {
    const path = createPlace(61);
    chmodSync(path, 0o500);
    const { refused } = createSocketFolder([{ path, name: "TMPDIR" }, short]);
    assert.match(refused[0]?.problem ?? "", /^EACCES: this user lacks the permission/);
  });
});

describe("listPlaces", () => {
  it("begins where temporary files belong, under the name of the variable that says so", () => {
    assert.deepEqual(listPlaces({ TMPDIR: "x" })[0], { path: tmpdir(), name: "TMPDIR" });
    assert.deepEqual(listPlaces({ TEMP: "x" })[0], { path: tmpdir(), name: "TEMP" });
    assert.equal(listPlaces({})[0]?.name, "the folder for temporary files");
    const names = listPlaces({ XDG_RUNTIME_DIR: "/run/user/1000" }).map(({ name }) => name);
    const memory = process.platform === "linux" ? ["/dev/shm"] : [];
    assert.deepEqual(names.slice(1), ["/tmp", "XDG_RUNTIME_DIR", ...memory]);
  });
});
