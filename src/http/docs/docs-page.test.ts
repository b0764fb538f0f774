import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import { runInNewContext, Script } from "node:vm";
import { docsAnswerScript } from "./docs-answer-script.js";
import { createDocsPage } from "./docs-page.js";
import { docsTryScript } from "./docs-try-script.js";

const svg = `<svg xmlns="http://www.w3.org/2000/svg"><title>Graph of Odd</title></svg>`;
const parts = { title: "Reader", version: "2.1.0", description: "Reads documents.", graphSvg: svg };
const { html, contentSecurityPolicy } = createDocsPage(parts);

const inlineBlocks = (tag: string, page = html): string[] =>
  [...page.matchAll(new RegExp(`<${tag}>([\\s\\S]*?)</${tag}>`, "g"))].map((match) => match[1] as string);

/** The page without what stands in it as text of another language. */
const markup = (page: string): string => page.replace(/<(style|script)>[\s\S]*?<\/\1>/g, "");

function assertBalanced(page: string): void {
  const empty = new Set(["meta", "link", "img", "!doctype"]);
  const open: string[] = [];
  for (const [, closes, name = ""] of markup(page).matchAll(/<(\/?)([!a-z][a-z0-9]*)(?:\s[^<>]*)?>/g)) {
    if (closes === "/") assert.equal(open.pop(), name);
    else if (!empty.has(name)) open.push(name);
  }
  assert.deepEqual(open, []);
}

describe("createDocsPage", () => {
  it("closes what it opens", () => {
    assertBalanced(html);
    assertBalanced(createDocsPage({ ...parts, version: "", description: "", graphSvg: undefined }).html);
  });

  it("shows title, version and description as text", () => {
    const { html: odd } = createDocsPage({
      ...parts,
      title: `</title><script>alert(1)</script>"'&`,
      description: "<b>",
    });
    assertBalanced(odd);
    assert.equal(inlineBlocks("script", odd).length, 1);
    assert.match(odd, /<h1>&lt;\/title&gt;&lt;script&gt;alert\(1\)&lt;\/script&gt;&quot;&#39;&amp;<\/h1>/);
    assert.match(odd, /<p class="lede">&lt;b&gt;<\/p>/);
  });

  it("leaves out what is empty", () => {
    const bare = markup(createDocsPage({ title: "T", version: "", description: " ", graphSvg: undefined }).html);
    assert.doesNotMatch(bare, /class="version"|class="lede"|<figure/);
  });

  it("allows its one style and its one script, by their hashes, and nothing else", () => {
    for (const tag of ["style", "script"]) {
      const blocks = inlineBlocks(tag);
      assert.equal(blocks.length, 1);
      const hash = createHash("sha256")
        .update(blocks[0] as string)
        .digest("base64");
      assert.ok(contentSecurityPolicy.split("; ").includes(`${tag}-src 'sha256-${hash}'`));
    }
    assert.match(contentSecurityPolicy, /^default-src 'none'; /);
    assert.doesNotMatch(contentSecurityPolicy, /unsafe|\*|http/);
    assert.doesNotMatch(markup(html), / (?:style|on[a-z]+)=/);
  });

  it("has a script that parses, and that makes no HTML of text", () => {
    const [script = ""] = inlineBlocks("script");
    assert.doesNotThrow(() => new Script(script));
    assert.doesNotMatch(script, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function/);
  });

  it("needs nothing from elsewhere", () => {
    const [script = ""] = inlineBlocks("script");
    const urls = [...html.matchAll(/\b(?:https?:)?\/\/[a-z][a-z0-9.-]+/g)].map((match) => match[0]);
    assert.deepEqual(new Set(urls), new Set(["https://example.com"]));
    assert.match(script, /uri: "https:\/\/example\.com"/, "the one address is a value to fill a form with");
    const links = [...markup(html).matchAll(/(?:src|href)="([^"]*)"/g)].map((match) => match[1] as string);
    for (const link of links)
      assert.match(link, /^(?:data:image\/svg\+xml;base64,|#apis$|openapi\.json$|metrics$|healthz$)/);
  });

  it("holds the picture of the graph as an image", () => {
    assert.ok(html.includes(`src="data:image/svg+xml;base64,${Buffer.from(svg).toString("base64")}"`));
  });

  it("prints short values on one line and fills lines with long lists of numbers", () => {
    const print = runInNewContext(`${docsAnswerScript}; print`) as (value: unknown) => string;
    assert.equal(print({ scores: [{ label: "a", score: 0.5 }] }), '{\n  "scores": [{ "label": "a", "score": 0.5 }]\n}');
    const long = print(Array.from({ length: 100 }, (_, i) => i / 7));
    assert.deepEqual(JSON.parse(long), JSON.parse(JSON.stringify(Array.from({ length: 100 }, (_, i) => i / 7))));
    assert.ok(long.split("\n").length < 40 && long.split("\n").every((line) => line.length <= 70));
  });

  it("writes curl commands that no input can end early", () => {
    const quote = runInNewContext(`${docsTryScript}; quote`) as (text: string) => string;
    assert.equal(quote("it's; rm"), "'it'\\''s; rm'");
  });

  it("stays small", () => {
    assert.ok(Buffer.byteLength(html) < 60_000, `${Buffer.byteLength(html)} bytes`);
  });
});
