import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Tensor } from "../src/define/tensor.js";
import { isHeldName } from "../src/held/file-store.js";
import { encodeNpy } from "../src/http/npy.js";
import { until } from "./chaos/app.js";
import { listDescendants, readHolding } from "./chaos/processes.js";
import { RunningApp } from "./faults/running-app.js";
import { SmallDisk } from "./tasks/small-disk.js";

const place = mkdtempSync("/tmp/ekiben-uploads-");
after(() => rmSync(place, { recursive: true, force: true }));

const size = 30_000_000;
const bytes = randomBytes(size);
const hash = createHash("sha256").update(bytes).digest("hex");

/** Lists the temporary folder without the compile cache of newer Nodes. */
const listPlace = () => readdirSync(place).filter((name) => name !== "node-compile-cache");

/** Names of the files of large values, of all processes. */
const heldFiles = () =>
  listPlace().flatMap((folder) =>
    readdirSync(join(place, folder))
      .filter(isHeldName)
      .map((name) => join(place, folder, name)),
  );

for (const placement of ["process", "thread", "inline"] as const) {
  describe(`a large upload, placement ${placement}`, () => {
    let app: RunningApp;
    let url: string;
    before(async () => {
      app = new RunningApp("uploads.mjs:Entry", ["--placement", placement], { env: { TMPDIR: place } });
      url = await app.command.url();
    });
    after(async () => {
      assert.equal(await app.end(), 0);
      assert.deepEqual(listPlace(), []);
    });
    const post = async (
      api: string,
      body: string | Buffer | FormData,
      type?: string,
      more: Record<string, string> = {},
    ) => {
      const headers = { ...(type !== undefined && { "content-type": type }), ...more };
      const response = await fetch(`${url}/${api}`, { method: "POST", body, headers });
      return { status: response.status, body: (await response.json()) as any };
    };

    it("arrives whole, with its name and type", async () => {
      const sent = await post("read", bytes, "image/x", { "content-disposition": 'attachment; filename="a b.bin"' });
      assert.deepEqual(sent, { status: 200, body: { name: "a b.bin", type: "image/x", size, hash } });
    });

    it("is read in pieces, as a slice and as text as well", async () => {
      const text = Buffer.from("héllo wörld, ".repeat(300_000));
      const { body } = await post("pieces", text, "text/x");
      const slice = ["text/x", [...text.subarray(1, 4)]];
      assert.deepEqual(body, { size: text.length, slice, text: text.toString().length });
    });

    it("arrives whole as a part of a form, beside fields", async () => {
      const form = new FormData();
      form.append("note", "before");
      form.append("scan", new File([bytes], "scan.png", { type: "image/png" }));
      form.append("page", "7");
      const { status, body } = await post("form", form);
      assert.deepEqual(
        [status, body],
        [200, { name: "scan.png", type: "image/png", size, hash, note: "before", page: 7 }],
      );
    });

    it("arrives whole inside a field, and in a list", async () => {
      const scan = new File([bytes], "scan.png", { type: "image/png" });
      const album = new FormData();
      album.append("pages[0].scan", scan);
      album.append("pages[1].scan", scan);
      const list = new FormData();
      list.append("scans", scan);
      list.append("scans", scan);
      const both = [
        ["scan.png", hash],
        ["scan.png", hash],
      ];
      for (const [api, form] of [["album", album] as const, ["list", list] as const]) {
        assert.deepEqual(await post(api, form), { status: 200, body: both });
      }
    });

    it("is refused as a form that is cut off", async () => {
      const head = '--x\r\ncontent-disposition: form-data; name="scan"; filename="a"\r\n\r\n';
      const { status, body } = await post(
        "form",
        Buffer.concat([Buffer.from(head), bytes]),
        "multipart/form-data; boundary=x",
      );
      assert.deepEqual([status, body.id], [400, "invalid_multipart"]);
    });

    it("arrives whole as a tensor", async () => {
      const data = new Float32Array(4_000_000).fill(0.5);
      const { body } = await post("sum", encodeNpy(new Tensor("float32", [data.length], data)), "application/x-npy");
      assert.deepEqual(body, [data.length, data.length / 2]);
      const doubles = new Float64Array(3_000_000);
      const refused = await post(
        "sum",
        encodeNpy(new Tensor("float64", [doubles.length], doubles)),
        "application/x-npy",
      );
      assert.equal(refused.status, 400);
    });

    it("can be given back", async () => {
      const response = await fetch(`${url}/echo`, {
        method: "POST",
        body: bytes,
        headers: { "content-type": "image/x" },
      });
      assert.equal(
        createHash("sha256")
          .update(Buffer.from(await response.arrayBuffer()))
          .digest("hex"),
        hash,
      );
    });

    it("stays whole in one that keeps it", async () => {
      for (let i = 0; i < 5; i++)
        await post("keep", bytes, "a/b", { "content-disposition": `attachment; filename="${i}"` });
      for (let i = 0; i < 5; i++) await post("size", bytes, "a/b");
      assert.deepEqual(
        (await post("kept", "")).body,
        ["0", "1", "2", "3", "4"].map((name) => [name, hash]),
      );
    });

    it("is handed on when it was made in memory", async () => {
      const own = createHash("sha256").update(Buffer.alloc(size, 7)).digest("hex");
      assert.deepEqual((await app.call("own", size)).body, { name: "own.bin", type: "a/b", size, hash: own });
    });

    it("is refused beyond the limit, and leaves no file", async () => {
      const many = heldFiles().length;
      const chunk = bytes.subarray(0, 1_000_000);
      let sent = 0;
      const body = new ReadableStream({
        pull: (controller) => void (++sent > 80 ? controller.close() : controller.enqueue(chunk)),
      });
      const init = { method: "POST", body, headers: { "content-type": "a/b" }, duplex: "half" } as RequestInit;
      const response = await fetch(`${url}/plain`, init);
      assert.equal(response.status, 413);
      await until(() => heldFiles().length <= many);
    });

    it("leaves no file when its client goes away", async () => {
      const many = heldFiles().length;
      const leaving = new AbortController();
      let sent = 0;
      const body = new ReadableStream({
        pull: (controller) => {
          if (++sent > 20) leaving.abort();
          else controller.enqueue(bytes.subarray(0, 1_000_000));
        },
      });
      const init = { method: "POST", body, signal: leaving.signal, headers: { "content-type": "a/b" }, duplex: "half" };
      await assert.rejects(fetch(`${url}/plain`, init as RequestInit));
      await until(() => heldFiles().length <= many);
    });
  });
}

describe("large uploads in processes", () => {
  let app: RunningApp;
  let url: string;
  before(async () => {
    app = new RunningApp("uploads.mjs:Entry", [], { env: { TMPDIR: place } });
    url = await app.command.url();
  });
  after(() => app[Symbol.dispose]());
  const post = (api: string, signal?: AbortSignal) =>
    fetch(`${url}/${api}`, {
      method: "POST",
      body: bytes,
      headers: { "content-type": "a/b" },
      ...(signal && { signal }),
    });

  it("are kept in files that their owner alone may open", async () => {
    await post("keep");
    const modes = heldFiles().map((path) => (statSync(path).mode & 0o777).toString(8));
    assert.ok(modes.length > 0);
    assert.deepEqual([...new Set(modes)], ["600"]);
    await post("kept");
  });

  it("do not accumulate on disk, as descriptors or in memory, whoever holds them (VF3)", async () => {
    const pids = listDescendants(app.command.child.pid as number);
    const open = () => pids.map((pid) => readHolding(pid).others);
    for (let i = 0; i < 10; i++) assert.equal((await post("size")).status, 200);
    const before = open();
    for (let i = 0; i < 60; i++) assert.equal((await post("size")).status, 200);
    // 60 files of 30 MB, in two processes.
    assert.ok(heldFiles().length < 60, `${heldFiles().length} files`);
    assert.deepEqual(open(), before);
  });

  it("leave nothing behind a replica that is killed while it holds them", async () => {
    const leaving = new AbortController();
    const slow = post("slow", leaving.signal).catch(() => undefined);
    const [entry, model] = (await app.call("where")).body;
    await until(() => heldFiles().length > 0);
    for (let i = 0; i < 3; i++) await post("keep");
    const held = new Set(heldFiles());
    process.kill(model, "SIGKILL");
    process.kill(entry, "SIGKILL");
    leaving.abort();
    await slow;
    await until(() => heldFiles().every((path) => !held.has(path)));
    await until(async () => (await post("read").catch(() => undefined))?.status === 200);
    assert.equal(await app.end(), 0);
    assert.deepEqual(listPlace(), []);
  });
});

describe("large uploads where temporary files find no room", () => {
  const disk = new SmallDisk(`/tmp/ekiben-uploads-disk-${process.pid}`, 8 * 1024 ** 2);
  after(() => {
    disk.unmount();
    rmSync(disk.folder, { recursive: true, force: true });
  });

  it("are refused with the reason, and soon kept in memory", { skip: disk.problem }, async () => {
    using app = new RunningApp("uploads.mjs:Entry", [], { env: { TMPDIR: disk.folder } });
    const url = await app.command.url();
    const post = async () => {
      const init = { method: "POST", body: bytes, headers: { "content-type": "a/b" } };
      const response = await fetch(`${url}/read`, init);
      return { status: response.status, body: (await response.json()) as any };
    };
    const refused = await post();
    assert.deepEqual([refused.status, refused.body.id], [507, "no_room_for_body"]);
    assert.match(JSON.stringify(refused.body), /writing to .* failed after \d+ bytes: ENOSPC/);
    const { status, body } = await post();
    assert.deepEqual([status, body.hash], [200, hash]);
    const files = readdirSync(disk.folder).flatMap((folder) =>
      readdirSync(join(disk.folder, folder)).filter(isHeldName),
    );
    assert.deepEqual(files, []);
  });
});
