import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Layout, layoutGraph } from "./layout-graph.js";
import { countCrossings, createLayers, type LayoutEdge, type LayoutNode, orderLayers } from "./layout-layers.js";
import { rowGap } from "./layout-rows.js";

const node = (id: string, width = 160, height = 90): LayoutNode => ({ id, width, height });
const edge = (from: string, to: string, labelWidth = 0): LayoutEdge => ({ from, to, labelWidth });

/** The same numbers in every run. */
function createRandom(seed: number) {
  let state = seed;
  return (below: number) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return (state >>> 8) % below;
  };
}

/** A graph of `count` nodes, all reachable from the first, callers before callees. */
function createRandomGraph(count: number, seed: number) {
  const random = createRandom(seed);
  const nodes = Array.from({ length: count }, (_, i) => node(`n${i}`, 120 + random(180), 40 + random(160)));
  const edges: LayoutEdge[] = [];
  for (let to = 1; to < count; to++) {
    const callers = new Set([random(to), random(to), random(4) === 0 ? random(to) : random(to)]);
    for (const from of callers) edges.push(edge(`n${from}`, `n${to}`, random(2) * random(120)));
  }
  return { nodes, edges };
}

interface Box {
  readonly what: string;
  readonly x0: number;
  readonly x1: number;
  readonly y0: number;
  readonly y1: number;
}

const overlap = (a: Box, b: Box) => a.x0 < b.x1 && b.x0 < a.x1 && a.y0 < b.y1 && b.y0 < a.y1;

function boxesOf(layout: Layout, edges: readonly LayoutEdge[]) {
  const cards = layout.nodes.map(({ id, x, y, width, height }): Box => {
    return { what: id, x0: x, x1: x + width, y0: y, y1: y + height };
  });
  const labels = layout.edges.flatMap(({ from, to, label: { x, y } }, i): Box[] => {
    const width = edges[i]?.labelWidth ?? 0;
    return width === 0 ? [] : [{ what: `label ${from}-${to}`, x0: x, x1: x + width, y0: y - 15, y1: y - 1 }];
  });
  const lines = layout.edges.flatMap(({ from, to, runs }) =>
    runs.map(({ y, x0, x1 }): Box => ({ what: `line ${from}-${to}`, x0, x1, y0: y - 0.5, y1: y + 0.5 })),
  );
  return { cards, labels, lines };
}

function assertApart(boxes: readonly Box[], others: readonly Box[]): void {
  for (const a of boxes) {
    for (const b of others) if (a !== b) assert.ok(!overlap(a, b), `${a.what} meets ${b.what}`);
  }
}

describe("layoutGraph", () => {
  it("places one box at the origin", () => {
    const layout = layoutGraph([node("a")], []);
    assert.deepEqual(layout, {
      width: 160,
      height: 90,
      nodes: [{ id: "a", x: 0, y: 0, width: 160, height: 90 }],
      edges: [],
    });
  });

  it("puts a chain on one line, boxes of any height", () => {
    const layout = layoutGraph(
      [node("a", 160, 90), node("b", 200, 41), node("c", 100, 150)],
      [edge("a", "b"), edge("b", "c", 60)],
    );
    const heights = new Set(layout.edges.flatMap(({ runs }) => runs.map((run) => run.y)));
    assert.equal(heights.size, 1);
  });

  it("puts each box right of all that point to it, and leads a long edge past the boxes between (GL1, GL2)", () => {
    const layout = layoutGraph(
      [node("a"), node("b"), node("c"), node("d")],
      [edge("a", "b"), edge("b", "c"), edge("c", "d"), edge("a", "d")],
    );
    const xs = layout.nodes.map(({ x }) => x);
    assert.deepEqual(
      xs,
      [...xs].sort((p, q) => p - q),
    );
    const long = layout.edges[3];
    assert.equal(long?.runs.length, 4);
    const { cards, lines } = boxesOf(layout, []);
    assertApart(cards, lines);
  });

  it("keeps cards, labels and level lines apart in graphs of any shape (GL3)", () => {
    for (let seed = 1; seed <= 60; seed++) {
      const { nodes, edges } = createRandomGraph(2 + (seed % 14), seed);
      const layout = layoutGraph(nodes, edges);
      const { cards, labels, lines } = boxesOf(layout, edges);
      assertApart(cards, cards);
      assertApart(cards, lines);
      assertApart(labels, cards);
      assertApart(labels, labels);
      assertApart(labels, lines);
      for (const box of [...cards, ...labels]) {
        assert.ok(box.x0 >= 0 && box.x1 <= layout.width, `seed ${seed}: ${box.what} is outside`);
        assert.ok(
          box.what.startsWith("label") || (box.y0 >= 0 && box.y1 <= layout.height),
          `seed ${seed}: ${box.what}`,
        );
      }
    }
  });

  it("bends lines only between columns, always to the right (GL2)", () => {
    for (let seed = 1; seed <= 20; seed++) {
      const { nodes, edges } = createRandomGraph(10, seed);
      for (const { runs } of layoutGraph(nodes, edges).edges) {
        runs.forEach((run, i) => {
          assert.ok(run.x0 <= run.x1);
          const next = runs[i + 1];
          if (next !== undefined) assert.ok(next.x0 - run.x1 >= 52, "a bend has room");
        });
      }
    }
  });

  it("makes a box high enough for its lines, and leaves a gap between boxes (GL1)", () => {
    const many = Array.from({ length: 9 }, (_, i) => `n${i}`);
    const layout = layoutGraph(
      [node("hub", 100, 40), ...many.map((id) => node(id, 100, 40))],
      many.map((id) => edge("hub", id)),
    );
    assert.ok((layout.nodes[0]?.height ?? 0) >= 8 * 20);
    const starts = layout.edges.map(({ runs }) => runs[0]?.y ?? 0).sort((a, b) => a - b);
    starts.forEach((y, i) => {
      if (i > 0) assert.ok(y - (starts[i - 1] as number) >= 10);
    });
    const column = layout.nodes.slice(1).sort((a, b) => a.y - b.y);
    column.forEach(({ y }, i) => {
      const above = column[i - 1];
      if (above !== undefined) assert.ok(y - (above.y + above.height) >= rowGap - 1);
    });
  });

  it("gives the same layout for the same graph", () => {
    const { nodes, edges } = createRandomGraph(12, 7);
    assert.deepEqual(layoutGraph(nodes, edges), layoutGraph(nodes, edges));
  });
});

describe("orderLayers", () => {
  it("uncrosses what can be uncrossed", () => {
    const nodes = ["root", "a", "b", "c", "x", "y", "z"].map((id) => node(id));
    const edges = [
      ...["a", "b", "c"].map((id) => edge("root", id)),
      edge("a", "z"),
      edge("b", "y"),
      edge("c", "x"),
      edge("a", "y"),
    ];
    const graph = createLayers(nodes, edges);
    assert.equal(countCrossings(orderLayers(graph), graph.segments), 0);
  });

  it("is never worse than the order it was given", () => {
    for (let seed = 1; seed <= 30; seed++) {
      const { nodes, edges } = createRandomGraph(12, seed);
      const graph = createLayers(nodes, edges);
      assert.ok(
        countCrossings(orderLayers(graph), graph.segments) <= countCrossings(graph.layers, graph.segments),
        `seed ${seed}`,
      );
    }
  });
});
