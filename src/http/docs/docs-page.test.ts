import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createDocsPage } from "./docs-page.js";

const svg = `<svg xmlns="http://www.w3.org/2000/svg"><title>Graph of Odd</title></svg>`;
const parts = { title: "Reader", version: "2.1.0", description: "Reads documents.", graphSvg: svg };
const html = createDocsPage(parts);

function assertBalanced(page: string): void {
  const empty = new Set(["meta", "link", "img", "!doctype"]);
  const open: string[] = [];
  for (const [, closes, name = ""] of page.matchAll(/<(\/?)([!a-z][a-z0-9]*)(?:\s[^<>]*)?>/g)) {
    if (closes === "/") assert.equal(open.pop(), name);
    else if (!empty.has(name)) open.push(name);
  }
  assert.deepEqual(open, []);
}

describe("createDocsPage", () => {
  it("closes what it opens", () => {
    assertBalanced(html);
    assertBalanced(createDocsPage({ ...parts, version: "", description: "", graphSvg: undefined }));
  });

  it("shows title, version and description as text", () => {
    const odd = createDocsPage({
      ...parts,
      title: `</title><script>alert(1)</script>"'&`,
      description: "<b>",
    });
    assertBalanced(odd);
    assert.equal(odd.match(/<script/g)?.length, 1);
    assert.match(odd, /<h1>&lt;\/title&gt;&lt;script&gt;alert\(1\)&lt;\/script&gt;&quot;&#39;&amp;<\/h1>/);
    assert.match(odd, /<p class="lede">&lt;b&gt;<\/p>/);
  });

  it("leaves out what is empty", () => {
    const bare = createDocsPage({ title: "T", version: "", description: " ", graphSvg: undefined });
    assert.doesNotMatch(bare, /class="version"|class="lede"|<figure/);
  });

  it("has no script and no style of its own, which its policy would refuse", () => {
    assert.deepEqual(html.match(/<script[^>]*>[^<]*/g), ['<script type="module" src="docs/docs-page.js">']);
    assert.doesNotMatch(html, /<style| (?:style|on[a-z]+)=/);
  });

  it("names no address of another server", () => {
    assert.doesNotMatch(html, /\b(?:https?:)?\/\/[a-z]/);
    const links = [...html.matchAll(/(?:src|href)="([^"]*)"/g)].map((match) => match[1] as string);
    for (const link of links) {
      assert.match(
        link,
        /^(?:data:image\/svg\+xml;base64,|#apis$|openapi\.json$|metrics$|healthz$|docs\/docs-page\.(?:js|css)$)/,
      );
    }
  });

  it("holds the picture of the graph as an image", () => {
    assert.ok(html.includes(`src="data:image/svg+xml;base64,${Buffer.from(svg).toString("base64")}"`));
  });
});
