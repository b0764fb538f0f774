import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ResponseDraft, RunningResponse } from "./call-response.js";

/** A response and what was set on it. */
function respond({ caller = "http", isEnded = false, responseEnd = undefined as string | undefined } = {}) {
  const draft = new ResponseDraft();
  const request = { openResponse: () => draft };
  const call = { caller: { service: caller, api: "/sign-in" }, request };
  return { draft, response: new RunningResponse({ call, isEnded, responseEnd }) };
}

describe("the response of a call", () => {
  it("collects status, headers and cookies; a second header replaces the first", () => {
    const { draft, response } = respond();
    response.status(201);
    response.header("X-Count", 7);
    response.header("x-count", "8");
    response.header("cache-control", "no-store");
    assert.deepEqual([draft.status, draft.headers], [201, [["x-count", "8"], ["cache-control", "no-store"]]]); // biome-ignore format: one case a line
  });

  it("formats cookies as RFC 6265 says, safe by default", () => {
    const { draft, response } = respond();
    response.cookie("session", "a b;é");
    response.cookie("theme", "dark", {
      httpOnly: false,
      secure: false,
      maxAge: 60,
      path: "/app",
      domain: "example.org",
    });
    response.cookie("session", "second", { sameSite: "strict" });
    response.cookie("old", "", { maxAge: 0, sameSite: "none" });
    assert.deepEqual(
      draft.headers.map(([, value]) => value),
      [
        "session=second; Path=/; HttpOnly; Secure; SameSite=Strict",
        "theme=dark; Max-Age=60; Path=/app; Domain=example.org; SameSite=Lax",
        "old=; Max-Age=0; Path=/; HttpOnly; Secure; SameSite=None",
      ],
    );
    assert.ok(draft.headers.every(([name]) => name === "set-cookie"));
    const { draft: other, response: again } = respond();
    again.cookie("session", "a b;é");
    assert.equal(other.headers[0]?.[1], "session=a%20b%3B%C3%A9; Path=/; HttpOnly; Secure; SameSite=Lax");
  });

  it("removes a cookie, by the path and domain that it was set with", () => {
    const { draft, response } = respond();
    response.cookie("session", "1");
    response.clearCookie("session");
    response.clearCookie("theme", { path: "/app", domain: "example.org", httpOnly: false, sameSite: "none" });
    assert.deepEqual(
      draft.headers.map(([, value]) => value),
      [
        "session=; Max-Age=0; Path=/; HttpOnly; Secure; SameSite=Lax",
        "theme=; Max-Age=0; Path=/app; Domain=example.org; Secure; SameSite=None",
      ],
    );
    assert.throws(() => response.clearCookie("a=b"), { id: "response_refused" });
    response.clearCookie("a", { maxAge: 60 } as object);
    assert.match(draft.headers.at(-1)?.[1] ?? "", /^a=; Max-Age=0;/);
  });

  it("redirects, with 303 unless it says otherwise", () => {
    const { draft, response } = respond();
    response.redirect("/home");
    assert.deepEqual([draft.status, draft.headers], [303, [["location", "/home"]]]);
    response.redirect(new URL("https://example.org/ä b"), 308);
    assert.deepEqual([draft.status, draft.headers], [308, [["location", "https://example.org/%C3%A4%20b"]]]);
  });

  it("refuses whatever would inject a header or breaks HTTP, and names no value", () => {
    const { draft, response } = respond();
    const bad: [string, () => void][] = [
      ["a line break in a value", () => response.header("x-a", "secret\r\nset-cookie: a=b")],
      ["a lone newline", () => response.header("x-a", "secret\n")],
      ["a zero", () => response.header("x-a", "secret\0")],
      ["other than latin1", () => response.header("x-a", "secret €")],
      ["a name with a space", () => response.header("x a", "1")],
      ["a name with a line break", () => response.header("x-a\r\nx-b", "1")],
      ["an empty name", () => response.header("", "1")],
      ["a value that is no text", () => response.header("x-a", ["secret"] as never)],
      ["a cookie's name", () => response.cookie("a=b", "1")],
      ["a cookie's path", () => response.cookie("a", "1", { path: "/; Domain=evil.org" })],
      ["a cookie's domain", () => response.cookie("a", "1", { domain: "a.org; Secure" })],
      ["a cookie's age", () => response.cookie("a", "1", { maxAge: 1.5 })],
      ["a cookie's site", () => response.cookie("a", "1", { sameSite: "all" as never })],
      ["a cookie that browsers drop", () => response.cookie("a", "1", { sameSite: "none", secure: false })],
      ["a host cookie with a path", () => response.cookie("__Host-a", "1", { path: "/app" })],
      ["a secure cookie that is not", () => response.cookie("__Secure-a", "1", { secure: false })],
      ["a cookie that is too long", () => response.cookie("a", "x".repeat(4_096))],
      ["half a character", () => response.cookie("a", "\ud800")],
      ["a redirect with a line break", () => response.redirect("/a\r\nx: 1")],
      ["a redirect to nowhere", () => response.redirect("")],
      ["a redirect that is none", () => response.redirect("/a", 200)],
      ["a status", () => response.status(99)],
      ["a fraction of a status", () => response.status(200.5)],
      ["more than fits", () => response.header("x-a", "x".repeat(8_193))],
    ];
    for (const [what, set] of bad) {
      assert.throws(set, (error: any) => {
        assert.equal(error.id, "response_refused", what);
        assert.doesNotMatch(error.message, /secret/);
        return true;
      });
    }
    assert.deepEqual([draft.status, draft.headers], [undefined, []]);
  });

  it("refuses headers of the connection and of ekiben", () => {
    const { response } = respond();
    const names = [
      "Connection",
      "keep-alive",
      "TE",
      "trailer",
      "Transfer-Encoding",
      "upgrade",
      "content-length",
      "date",
    ];
    for (const name of [...names, "content-type", "location", "set-cookie", "X-Request-Id", "ekiben-anything"]) {
      assert.throws(() => response.header(name, "1"), { id: "response_refused" }, name);
    }
  });

  it("is dropped in a program, and refused where it would be lost without a word", () => {
    const { draft, response } = respond({ caller: "local" });
    response.status(201);
    response.cookie("a", "1");
    assert.throws(() => response.status(0), { id: "response_refused" });
    assert.deepEqual([draft.status, draft.headers], [undefined, []]);
    const refused = [
      { what: respond({ caller: "Front" }), text: /came from Front\./ },
      { what: respond({ isEnded: true }), text: /has ended/ },
      { what: respond({ responseEnd: "the first item of the stream was sent" }), text: /first item/ },
      { what: respond({ caller: "local", responseEnd: "a task runs apart" }), text: /apart/ },
    ];
    for (const { what, text } of refused) {
      assert.throws(() => what.response.status(201), { id: "response_refused", message: text });
    }
  });
});

describe("a response from another process", () => {
  it("arrives as it was set", () => {
    const { draft, response } = respond();
    response.status(202);
    response.header("x-a", "1");
    response.cookie("a", "1");
    response.cookie("b", "2");
    const arrived = ResponseDraft.fromWire(draft.wireText);
    assert.deepEqual([arrived?.status, arrived?.headers], [202, draft.headers]);
    assert.deepEqual(ResponseDraft.fromWire("[null,[]]")?.status, undefined);
  });

  it("is refused when no api could have set it", () => {
    const texts = [
      ...["", "{", "1", "{}", "[]", "[200]", "[200,{}]", "[99,[]]", '["200",[]]', "[200,[1]]", '[200,[["a"]]]'],
      ...['[200,[["a b","1"]]]', '[200,[["a","1\\r\\nb: 2"]]]', `[200,[["a","${"x".repeat(9_000)}"]]]`],
    ];
    for (const text of texts) assert.equal(ResponseDraft.fromWire(text), undefined, text.slice(0, 40));
  });
});
