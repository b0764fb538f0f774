import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { z } from "zod";
import { renameServices, sampleGraphs } from "../../../test/fixtures/sample-graphs.js";
import { api } from "../../define/api.js";
import { depends } from "../../define/depends.js";
import { Service } from "../../define/service.js";
import { resolveGraph } from "../graph.js";
import { createCard } from "./draw-card.js";
import { drawGraph } from "./draw-graph.js";
import { escapeXml, fitText, measureText } from "./draw-text.js";
import { formatServices } from "./format-service.js";

/** Throws unless every tag is closed and no sign stands where XML forbids it. */
function assertWellFormed(xml: string): void {
  const open: string[] = [];
  const rest = xml.replace(
    /<(\/?)([a-z]+)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>/gi,
    (_, closes, name, _attributes, isEmpty) => {
      if (closes === "/") assert.equal(open.pop(), name);
      else if (isEmpty === "") open.push(name);
      return "";
    },
  );
  assert.deepEqual(open, []);
  assert.doesNotMatch(rest, /[<>]/);
  assert.doesNotMatch(xml, /&(?!(?:amp|lt|gt|quot|#39);)/);
}

class Odd extends Service({ version: "x".repeat(60), description: "]]> <b>" }) {
  run = api({ input: z.enum(["<", "&"]), output: z.string() }, () => "");
}
class VeryLongNameOfAServiceThatNobodyWouldReallyGiveToOneButMight extends Service({ version: "1.0.0" }) {
  "字段 — 日本語" = depends(Odd);
  anApiWhoseNameIsSoLongThatNoCardCouldHoldItWithoutBeingVeryWide = api(
    { yields: z.object(Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`field${i}`, z.string()]))) },
    async function* () {},
  );
}
const odd = renameServices(resolveGraph(VeryLongNameOfAServiceThatNobodyWouldReallyGiveToOneButMight), {
  Odd: `<script>"&'\u0000\uD800`,
});

describe("drawGraph", () => {
  it("is well-formed and shows every service, api and edge", () => {
    for (const [name, graph] of Object.entries(sampleGraphs)) {
      const svg = drawGraph(graph);
      assertWellFormed(svg);
      for (const service of graph.services.values()) {
        assert.ok(svg.includes(`>${service.name}</text>`), `${name}: ${service.name}`);
        for (const api of service.apis.keys()) assert.ok(svg.includes(`>${api}</text>`), `${name}: ${api}`);
      }
      const pairs = new Set(graph.edges.map(({ from, to }) => `${from} ${to}`));
      assert.equal(svg.match(/class="line"/g)?.length, pairs.size + 1, "one line a pair, and the one from HTTP");
    }
  });

  it("takes any name without breaking the document", () => {
    const svg = drawGraph(odd);
    assertWellFormed(svg);
    assert.ok(!svg.includes("<script>"));
    assert.ok(svg.includes("&lt;script&gt;"));
  });

  it("is the same for the same graph", () => {
    assert.equal(drawGraph(sampleGraphs.mixed), drawGraph(sampleGraphs.mixed));
  });

  it("says what it shows to those who do not see it", () => {
    const svg = drawGraph(sampleGraphs.diamond);
    assert.match(svg, /role="img" aria-labelledby="ekiben-graph-SearchApp-title ekiben-graph-SearchApp-desc"/);
    assert.match(svg, /<title id="ekiben-graph-SearchApp-title">Graph of SearchApp<\/title>/);
    assert.match(svg, />SearchApp takes HTTP requests and calls Indexer, Searcher\. Indexer calls Embedder\. /);
  });

  it("adapts to dark pages, or has the theme asked for", () => {
    assert.match(drawGraph(sampleGraphs.single), /@media \(prefers-color-scheme: dark\)/);
    assert.doesNotMatch(drawGraph(sampleGraphs.single, { theme: "dark" }), /@media/);
  });

  it("keeps its style to itself and loads nothing", () => {
    const svg = drawGraph(sampleGraphs.mixed);
    const rules = (svg.match(/<style>([\s\S]*)<\/style>/)?.[1] ?? "").match(/^.*\{.*\}$/gm) ?? [];
    assert.ok(rules.length > 20);
    for (const rule of rules) assert.match(rule, /^\.ekiben-graph /);
    assert.doesNotMatch(svg.replace('xmlns="http://www.w3.org/2000/svg"', ""), /url\(|https?:|@import|@font-face/);
  });

  it("labels an edge only where the field says more than the service's name", () => {
    assert.match(drawGraph(sampleGraphs.fanOut), /class="label muted"[^>]*>bayes</);
    assert.doesNotMatch(drawGraph(sampleGraphs.fanOut), />logistic</);
  });
});

describe("createCard", () => {
  it("is wide and high enough for what stands on it, whatever its length", () => {
    for (const graph of [...Object.values(sampleGraphs), odd]) {
      for (const service of formatServices(graph)) {
        const card = createCard(service);
        assert.ok(card.width <= 340 && card.height >= 42, `${service.name}: ${card.width} by ${card.height}`);
        for (const { types } of card.apis) {
          for (const { text } of types) {
            assert.ok(measureText(text, { font: "mono", size: 11 }) <= card.width - 32, text);
          }
        }
      }
    }
  });
});

describe("measureText", () => {
  it("allows for the widest of the fonts", () => {
    // Widths in DejaVu Sans, of which the table is made: 12 px, 1 px of rounding.
    assert.ok(measureText("Illinois", { font: "sans", size: 12 }) >= 39);
    assert.ok(measureText("WWWWWWWW", { font: "sans", size: 12 }) >= 94);
    assert.equal(measureText("abcde", { font: "mono", size: 10 }), 31);
    assert.equal(measureText("日本", { font: "sans", size: 10 }), 20);
  });

  it("cuts by whole characters", () => {
    const style = { font: "sans", size: 10 } as const;
    assert.equal(fitText("short", 100, style), "short");
    assert.equal(fitText("🍱🍱🍱🍱", 32, style), "🍱🍱…");
  });

  it("escapes what XML takes for its own", () => {
    assert.equal(escapeXml(`<a b="c">&'\u0007\uD83C`), "&lt;a b=&quot;c&quot;&gt;&amp;&#39;\uFFFD");
  });
});
