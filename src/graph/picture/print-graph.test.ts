import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { z } from "zod";
import { renameServices, sampleGraphs } from "../../../test/fixtures/sample-graphs.js";
import { api, task } from "../../define/api.js";
import { depends } from "../../define/depends.js";
import { Service } from "../../define/service.js";
import { resolveGraph } from "../graph.js";
import { drawGraph } from "./draw-graph.js";
import { graphToJson, printGraph, printMermaid } from "./print-graph.js";

describe("printGraph", () => {
  it("writes a shared service once and names it after that", () => {
    assert.equal(
      printGraph(sampleGraphs.diamond),
      `SearchApp
│  search  string -> string[]  POST /search
├─ Indexer
│  │  add  string[] -> null
│  └─ Embedder  (2Gi, 2 replicas)
│        embed  string[] -> float32[n, 384]
└─ Searcher
   │  search  string -> string[]
   └─ encoder: Embedder  (shown above)

4 services, 4 edges
`,
    );
  });

  it("tells tasks from other apis", () => {
    class Trainer extends Service() {
      train = task({ input: z.string(), output: z.number() }, () => 1);
    }
    const graph = resolveGraph(Trainer);
    assert.match(printGraph(graph), /train {2}string -> number, as a task {2}POST \/train/);
    assert.match(printMermaid(graph), /train: string → number, as a task/);
    assert.match(drawGraph(graph), />task<\/text>/);
    assert.equal(graphToJson(graph).services[0]?.apis[0]?.kind, "task");
  });

  it("names versions, resources, streams, routes and the bounds of edges", () => {
    assert.equal(
      printGraph(sampleGraphs.chain),
      `PhotoPipeline
│  detect  { image, threshold? } -> { label }[]  POST /v1/detect
└─ Resize  (0.5 cpu)
   │  resize  file -> uint8[h, w, 3]
   └─ Detector  (1 gpu a100, 16Gi, 1–4 replicas)
      │  detect  uint8[h, w, 3] -> { label }[]
      └─ next, within 200 ms: Postprocess
            decode  float32[n, 91] -> { label }[]

4 services, 3 edges
`,
    );
    assert.match(printGraph(sampleGraphs.single), /^Single 0\.3\.0\n {3}summarise {2}\{ text \} -> string/);
    assert.match(printGraph(sampleGraphs.single), /tokens {5}string -> stream of \{ token \}/);
    assert.match(printGraph(sampleGraphs.single), /health {5}\(\) -> boolean/);
    assert.match(printGraph(sampleGraphs.single), /1 service, 0 edges\n$/);
  });

  it("shows every service exactly once in full", () => {
    const text = printGraph(sampleGraphs.mixed);
    for (const name of sampleGraphs.mixed.services.keys()) {
      const lines = text.split("\n").filter((line) => line.includes(name) && !line.includes("(shown above)"));
      assert.equal(lines.length, 1, name);
    }
  });
});

describe("printMermaid", () => {
  it("draws every service and one arrow for each pair", () => {
    const lines = printMermaid(sampleGraphs.diamond).split("\n");
    assert.deepEqual(lines, [
      "flowchart LR",
      "  http([HTTP]) --> s0",
      '  s0["<b>SearchApp</b><br/>search: string → string[]"]:::entry',
      '  s1["<b>Indexer</b><br/>add: string[] → null"]',
      '  s2["<b>Embedder</b><br/>embed: string[] → float32[n, 384]<br/><i>2Gi, 2 replicas</i>"]',
      '  s3["<b>Searcher</b><br/>search: string → string[]"]',
      "  s1 --> s2",
      '  s3 -->|"encoder"| s2',
      "  s0 --> s1",
      "  s0 --> s3",
      "  classDef entry stroke-width:3px",
      "",
    ]);
  });

  it("lets no name end its quotes or become markup", () => {
    class Odd extends Service() {
      run = api({ input: z.enum(['"', "`"]), output: z.string() }, () => "");
    }
    class Entry extends Service({ name: "end" }) {
      odd = depends(Odd);
      run = api({ output: z.string() }, () => "");
    }
    const text = printMermaid(renameServices(resolveGraph(Entry), { Odd: 'a"] --> <b>#&`;' }));
    assert.match(text, /s1\["<b>a#34;\] --#62; #60;b#62;#35;#38;#96;#59;<\/b><br\/>/);
    for (const line of text.split("\n")) assert.equal((line.match(/"/g)?.length ?? 0) % 2, 0, line);
  });
});
