import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, describe, it } from "node:test";
import { inspect } from "node:util";
import { pino } from "pino";
import { ServingError } from "../failure/serving-error.js";
import { secret } from "./secret.js";
import { variables } from "./value-types.js";

const folder = mkdtempSync(join(tmpdir(), "ekiben-secret-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const file = join(folder, "key");

describe("secret", () => {
  afterEach(() => {
    for (const name of ["EXAMPLE_KEY", "EXAMPLE_KEY_FILE"]) delete process.env[name];
  });
  const own = secret("EXAMPLE_KEY");

  it("is read from the variable when it is used, each time", () => {
    process.env["EXAMPLE_KEY"] = "first";
    assert.equal(own.value(), "first");
    process.env["EXAMPLE_KEY"] = "second";
    assert.equal(own.value(), "second");
  });

  it("is read from the file that a variable names, without the newline at its end, also after the file has changed", () => {
    process.env["EXAMPLE_KEY_FILE"] = file;
    for (const [written, read] of [
      ["from a file\n", "from a file"],
      ["two\nlines\r\n", "two\nlines"],
      [" spaces \n\n", " spaces \n"],
    ] as const) {
      writeFileSync(file, written);
      assert.equal(own.value(), read);
    }
  });

  const problemOf = (): unknown[] => {
    try {
      return ["read", own.value()];
    } catch (error) {
      assert.ok(error instanceof ServingError);
      assert.ok(error.fix);
      return [error.id, error.message];
    }
  };

  it("fails with its name when it is missing, or empty", () => {
    const missing = [
      "secret_missing",
      "the secret EXAMPLE_KEY is missing: neither EXAMPLE_KEY nor EXAMPLE_KEY_FILE is set",
    ];
    assert.deepEqual(problemOf(), missing);
    process.env["EXAMPLE_KEY"] = "";
    assert.deepEqual(problemOf(), missing);
  });

  it("fails with the reason when it can't be read, and never with the text", () => {
    process.env["EXAMPLE_KEY_FILE"] = join(folder, "absent");
    assert.match(String(problemOf()), /^secret_unreadable,the secret EXAMPLE_KEY can't be read: .*absent.*ENOENT/);
    process.env["EXAMPLE_KEY_FILE"] = folder;
    assert.match(String(problemOf()), /^secret_unreadable,.*EISDIR/);
    process.env["EXAMPLE_KEY_FILE"] = file;
    writeFileSync(file, "");
    assert.match(String(problemOf()), /key is empty$/);
    writeFileSync(file, "x".repeat(1024 ** 2 + 1));
    assert.match(String(problemOf()), /key has more than 1048576 bytes$/);
    process.env["EXAMPLE_KEY"] = "hidden text";
    assert.match(String(problemOf()), /EXAMPLE_KEY and EXAMPLE_KEY_FILE are both set$/);
    assert.doesNotMatch(String(problemOf()), /hidden/);
  });

  it("reads no more of an endless file than its limit", { skip: process.platform === "win32" }, () => {
    process.env["EXAMPLE_KEY_FILE"] = "/dev/zero";
    assert.match(String(problemOf()), /has more than/);
  });

  it("is printed as *** by everything that prints a value", () => {
    process.env["EXAMPLE_KEY"] = "hidden text";
    const lines: string[] = [];
    pino({}, { write: (line) => void lines.push(line) }).info({ own, deep: { list: [own] } }, String(own));
    const texts = [
      ...[`${own}`, String(own), own.toString(), JSON.stringify({ own }), `${[own]}`],
      ...[inspect(own), inspect({ deep: { own } }, { showHidden: true, depth: 9 }), lines.join("")],
      ...[inspect(structuredClone({ own })), JSON.stringify(structuredClone({ own }))],
      ...[new Error(`failed with ${own}`).message, variables.format({ KEY: own })],
    ];
    for (const text of texts.slice(0, 8)) assert.match(text, /\*\*\*/);
    for (const text of texts) assert.doesNotMatch(text, /hidden|EXAMPLE/, text);
    assert.deepEqual(Object.keys(own), []);
  });

  it("is one object for one name, so that two services of a process may share it", () => {
    assert.equal(secret("EXAMPLE_KEY"), own);
    assert.notEqual(secret("ANOTHER_KEY"), own);
  });
});
