import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { describe, it } from "node:test";
import { curlCommand, fileField, jsonArguments, jsonField, quote, textField, toAuthorization } from "./curl.js";

/** Runs a command in a shell where `curl` prints its arguments, a line each. */
function argumentsOf(command: string): string[] {
  return execFileSync("sh", ["-c", `curl() { printf '%s\\n' "$@"; }\n${command}`], { encoding: "utf8" })
    .split("\n")
    .slice(0, -1);
}

describe("the curl command of a call", () => {
  it("quotes text that no input can end early", () => {
    assert.equal(quote("it's; rm"), "'it'\\''s; rm'");
    assert.deepEqual(argumentsOf(`curl ${quote('it\'s; $(rm) `x` "y"')}`), ['it\'s; $(rm) `x` "y"']);
  });

  it("asks with POST where there is no body, and names the accepted type where there is a choice", () => {
    const command = curlCommand("http://h/a b", { isStream: true, body: [], accept: "text/event-stream" });
    const expected = ["-N", "-X", "POST", "http://h/a b", "-H", "accept: text/event-stream"];
    assert.deepEqual(argumentsOf(command), expected);
  });

  it("says who is asking with a variable of the shell, so that no secret is on the page", () => {
    const command = curlCommand("http://h/x", { isStream: false, body: [], accept: undefined, isKnown: true });
    const lines = argumentsOf(`AUTHORIZATION='Bearer a b'\n${command}`);
    assert.deepEqual(lines, ["-X", "POST", "http://h/x", "-H", "authorization: Bearer a b"]);
  });

  it("sends a key or token alone as Bearer, and any scheme that is typed", () => {
    assert.deepEqual(["", "  ", " abc ", "Basic YTpi", "bearer abc"].map(toAuthorization), [
      undefined,
      undefined,
      "Bearer abc",
      "Basic YTpi",
      "bearer abc",
    ]);
  });

  it("sends JSON without its white space, and a long one from a file", () => {
    const body = jsonArguments("application/json", '{\n  "a b": [1,\n 2]\n}');
    const command = curlCommand("http://h/x", { isStream: false, body, accept: undefined });
    assert.deepEqual(argumentsOf(command), [
      "http://h/x",
      "-H",
      "content-type: application/json",
      "-d",
      '{"a b":[1,2]}',
    ]);
    assert.equal(jsonArguments("application/json", `"${"x".repeat(2000)}"`)[1], "-d @input.json");
  });

  it("keeps a field of a form from being read as a file or as options", () => {
    assert.equal(textField("note", "@etc"), "--form-string 'note=@etc'");
    assert.equal(textField("note", "a;type=b"), "--form-string 'note=a;type=b'");
    assert.equal(textField("note", "plain"), "-F 'note=plain'");
    assert.equal(fileField("scan", "a b.png"), "-F 'scan=@a b.png'");
    assert.equal(fileField("scan", 'a;b,"c".png'), `-F 'scan=@"a;b,\\"c\\".png"'`);
    assert.equal(jsonField("n", '{"a":1}'), `-F 'n="{\\"a\\":1}";type=application/json'`);
  });
});
