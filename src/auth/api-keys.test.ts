import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fs, { mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it, mock } from "node:test";
import { pathToFileURL } from "node:url";
import type { ContextRequest } from "../options/app-file.js";
import { apiKeys } from "./api-keys.js";

const folder = mkdtempSync(join(tmpdir(), "ekiben-keys-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const [first, second] = ["first-key-of-16+chars", "second-key-of-16+chars"];
const hashOf = (key: string) => `sha256:${createHash("sha256").update(key).digest("hex")}`;

let count = 0;
function createFile(text: string): string {
  const file = join(folder, `keys-${++count}`);
  writeFileSync(file, text);
  return file;
}

const bearer = (key: string) => ({ headers: { authorization: `Bearer ${key}` } }) as unknown as ContextRequest;
const header = (key: string) => ({ headers: { "x-api-key": key } }) as unknown as ContextRequest;

describe("apiKeys", () => {
  it("names the key of a request, plain or hashed in the file, from either header", async () => {
    const file = createFile(
      `# keys\n\nlaptop ${first}\r\n  ci\t${hashOf(second).toUpperCase().replace("SHA", "sha")}\n`,
    );
    for (const identify of [apiKeys({ file }), apiKeys({ file: pathToFileURL(file) })]) {
      assert.deepEqual(await identify(bearer(first)), { key: "laptop" });
      assert.deepEqual(await identify(bearer(second)), { key: "ci" });
      assert.deepEqual(await identify(header(second)), { key: "ci" });
    }
  });

  it("refuses a request without a key, with another key, and with the hash of one (AK2)", async () => {
    const identify = apiKeys({ file: createFile(`laptop ${hashOf(first)}\n`) });
    const none = { headers: {} } as ContextRequest;
    await assert.rejects(identify(none), { id: "credentials_missing", httpStatus: 401 });
    await assert.rejects(identify(header("")), { id: "credentials_missing" });
    for (const key of [second, first.slice(1), `${first}x`, hashOf(first), "laptop", "__proto__", ""]) {
      await assert.rejects(identify(bearer(key)), {
        httpStatus: 401,
        message: /^(the API key is unknown|the request)/,
      });
    }
    await assert.rejects(identify({ headers: { "x-api-key": second, authorization: `Bearer ${first}` } } as never), {
      id: "credentials_refused",
    });
  });

  it("follows changes of the file from the next request on (AK1)", async () => {
    const file = createFile(`laptop ${first}\n`);
    const identify = apiKeys({ file });
    assert.deepEqual(await identify(bearer(first)), { key: "laptop" });
    writeFileSync(file, `laptop ${first}\nlaptop ${second}\n`);
    assert.deepEqual(await identify(bearer(second)), { key: "laptop" });
    assert.deepEqual(await identify(bearer(first)), { key: "laptop" });
    writeFileSync(file, `laptop ${second}\n`);
    await assert.rejects(identify(bearer(first)), { id: "credentials_refused" });
    // The way of Kubernetes and of careful editors: another file takes the name.
    renameSync(createFile(`laptop ${first}\n`), file);
    await assert.rejects(identify(bearer(second)), { id: "credentials_refused" });
    assert.deepEqual(await identify(bearer(first)), { key: "laptop" });
  });

  it("follows a link that leads to another file", async () => {
    const link = join(folder, "current");
    symlinkSync(createFile(`old ${first}\n`), link);
    const identify = apiKeys({ file: link });
    assert.deepEqual(await identify(bearer(first)), { key: "old" });
    const next = join(folder, "next");
    symlinkSync(createFile(`new ${second}\n`), next);
    renameSync(next, link);
    assert.deepEqual(await identify(bearer(second)), { key: "new" });
  });

  it("lets nobody in while the file is gone or invalid, and tells only the log why (AK1)", async () => {
    const file = createFile(`laptop ${first}\n`);
    const identify = apiKeys({ file });
    await identify(bearer(first));
    const breaks: [() => void, RegExp][] = [
      [() => unlinkSync(file), /ENOENT/],
      [() => writeFileSync(file, "half a li"), /line 1 of .* is not a name and a key/],
    ];
    for (const [damage, cause] of breaks) {
      damage();
      for (let i = 0; i < 2; i++) {
        await assert.rejects(identify(bearer(first)), (error: any) => {
          assert.deepEqual([error.id, error.httpStatus], ["credentials_unavailable", 503]);
          assert.doesNotMatch(error.message, /keys-\d|ENOENT|line/);
          assert.match(error.cause.message, cause);
          return true;
        });
      }
    }
    writeFileSync(file, `laptop ${first}\n`);
    assert.deepEqual(await identify(bearer(first)), { key: "laptop" });
  });

  it("reads a file with an invalid line once, until it changes (AK1)", async () => {
    const file = createFile(`laptop ${first}\n`);
    const identify = apiKeys({ file });
    writeFileSync(file, `laptop ${first}\n${"x".repeat(20)}\n`);
    const reads = mock.method(fs, "readFileSync");
    syncBuiltinESMExports();
    try {
      const causes = new Set<unknown>();
      for (let i = 0; i < 5; i++) {
        await assert.rejects(identify(bearer(first)), ({ id, cause }: any) => {
          causes.add(cause.message);
          return id === "credentials_unavailable";
        });
      }
      assert.equal(reads.mock.callCount(), 1);
      assert.match([...causes].join(), /^line 2 of [^,]*$/);
      writeFileSync(file, `laptop ${second}\n`);
      assert.deepEqual(await identify(bearer(second)), { key: "laptop" });
      assert.equal(reads.mock.callCount(), 2);
    } finally {
      reads.mock.restore();
      syncBuiltinESMExports();
    }
  });

  it("takes keys of all characters that a header carries, from either header", async () => {
    const key = "abc!def:ghi$jkl#mnop,~";
    const identify = apiKeys({ file: createFile(`laptop ${key}\n`) });
    for (const ask of [bearer, header]) assert.deepEqual(await identify(ask(key)), { key: "laptop" });
    await assert.rejects(identify(bearer("two words-of-a-key")), { id: "credentials_refused" });
  });

  it("says which headers it reads", () => {
    const { credentials } = apiKeys({ file: createFile(`laptop ${first}\n`) });
    assert.deepEqual(credentials, [{ kind: "bearer" }, { kind: "header", name: "x-api-key" }]);
  });

  it("refuses a file that it can't read at once, by the number of the line and without the key (AK3)", () => {
    const texts: [string, RegExp][] = [
      ["laptop", /line 1 of .* is not a name and a key/],
      ["# ok\nlaptop secret", /line 2 of .* has a key of less than 16 characters/],
      ["laptop two words-that-are-a-secret", /line 1 .* is not a name and a key/],
      ["laptop sha256:secret-secret-secret", /line 1 .* has no 64 hexadecimal digits/],
      ["lap top! secret-secret-secret", /line 1 .* is not a name and a key/],
      [`a ${first}\nb ${hashOf(first)}`, /line 2 .* has the key of a/],
      ["a secret-secret-s\u00e9cret", /line 1 .* characters that no header carries/],
      [`\n a ${"secret".repeat(1400)}`, /line 2 .* key of more than 8192 characters/],
      ["x".repeat(1024 ** 2 + 1), /1048577 bytes/],
    ];
    for (const [text, problem] of texts) {
      assert.throws(
        () => apiKeys({ file: createFile(text) }),
        (error: any) => {
          assert.equal(error.id, "auth_misconfigured");
          assert.match(error.message, problem);
          assert.doesNotMatch(error.message, /secret|first-key/);
          return true;
        },
      );
    }
    assert.throws(() => apiKeys({ file: join(folder, "nowhere") }), { id: "auth_misconfigured", message: /ENOENT/ });
  });
});
