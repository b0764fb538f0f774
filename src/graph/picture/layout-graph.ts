import {
  createLayers,
  type LayeredGraph,
  type LayoutEdge,
  type LayoutNode,
  orderLayers,
  type Slot,
} from "./layout-layers.js";
import { cornerHeight, lineGap, placeRows, type Rows } from "./layout-rows.js";

// Layered layout, left to right, after Sugiyama, Tagawa and Toda (1981).
//
// GL1  Cards stand in columns, one for each layer; no two cards of a column are closer than `rowGap`.
// GL2  A line bends only between columns. It passes a column horizontally, in a slot of its own.
// GL3  Before the next column a line is horizontal over the length of the longest label of that gap. Labels stand
//      there, so that no label meets another line, label or card.

/** Width of the part of a gap in which lines bend; wider for lines that rise more. */
const bendWidth = { least: 52, most: 130 };
/** Space for the arrow head and around the label. */
const headWidth = 22;

interface Point {
  readonly x: number;
  readonly y: number;
}

/** Node with its position. All nodes of a column are as wide as the widest, and as high as their lines need. */
export interface PlacedNode extends Point {
  readonly id: string;
  readonly width: number;
  readonly height: number;
}

/** Line of horizontal runs joined by bends. A bend is as wide as the space between its two runs. */
export interface PlacedEdge {
  readonly from: string;
  readonly to: string;
  /** Horizontal pieces from left to right; the last ends at the callee. A piece may have length 0. */
  readonly runs: readonly { readonly y: number; readonly x0: number; readonly x1: number }[];
  /** Left end of the label's space, on the line. */
  readonly label: Point;
}

/** Positions of all nodes and edges; (0, 0) is the top left corner. */
export interface Layout {
  readonly width: number;
  readonly height: number;
  /** Nodes in the order given. */
  readonly nodes: readonly PlacedNode[];
  readonly edges: readonly PlacedEdge[];
}

/**
 * Places boxes and lines. The same input gives the same output.
 *
 * @param nodes Boxes, at least one; ids are unique.
 * @param edges At most one between two nodes, and no cycle.
 */
export function layoutGraph(nodes: readonly LayoutNode[], edges: readonly LayoutEdge[]): Layout {
  const tall = nodes.map((node) => ({ ...node, height: Math.max(node.height, portsHeight(node.id, edges)) }));
  const graph = createLayers(tall, edges);
  const rows = placeRows(graph, orderLayers(graph));
  const columns = placeColumns(tall, edges, graph, rows);
  const tops = graph.slots.map((slot, i) => (rows.centres[i] as number) - slot.height / 2);
  const top = Math.min(...tops);
  const bottom = Math.max(...graph.slots.map((slot, i) => (tops[i] as number) + slot.height));
  const placed = tall.map(({ id, height }, i): PlacedNode => {
    const { x, width } = columns[(graph.slots[i] as Slot).layer] as Column;
    return { id, x, y: (tops[i] as number) - top, width, height };
  });
  const last = columns.at(-1) as Column;
  const lines = routeEdges(edges, graph, columns, rows).map((edge) => moveUp(edge, top));
  return { width: last.x + last.width, height: bottom - top, nodes: placed, edges: lines };
}

function portsHeight(id: string, edges: readonly LayoutEdge[]): number {
  const inward = edges.filter((edge) => edge.to === id).length;
  const outward = edges.filter((edge) => edge.from === id).length;
  return 2 * cornerHeight + (Math.max(inward, outward, 1) - 1) * lineGap;
}

/** Column of cards; lines reach it horizontally from `x - levelWidth` on. */
interface Column {
  readonly x: number;
  readonly width: number;
  readonly levelWidth: number;
}

function placeColumns(
  nodes: readonly LayoutNode[],
  edges: readonly LayoutEdge[],
  { slots, segments, layers }: LayeredGraph,
  { leaves, reaches }: Rows,
): Column[] {
  const columns: Column[] = [];
  let right = 0;
  layers.forEach((layer, i) => {
    const width = Math.max(0, ...layer.map((slot) => nodes[(slots[slot] as Slot).node]?.width ?? 0));
    let labelWidth = 0;
    let rise = 0;
    segments.forEach(({ to, edge }, s) => {
      const slot = slots[to] as Slot;
      if (slot.layer !== i) return;
      if (slot.node >= 0) labelWidth = Math.max(labelWidth, (edges[edge] as LayoutEdge).labelWidth);
      rise = Math.max(rise, Math.abs((leaves[s] as number) - (reaches[s] as number)));
    });
    const levelWidth = headWidth + labelWidth;
    const bend = Math.round(Math.min(bendWidth.most, Math.max(bendWidth.least, rise * 0.4)));
    const x = i === 0 ? 0 : right + bend + levelWidth;
    columns.push({ x, width, levelWidth });
    right = x + width;
  });
  return columns;
}

function routeEdges(
  edges: readonly LayoutEdge[],
  { slots, segments }: LayeredGraph,
  columns: readonly Column[],
  { leaves, reaches }: Rows,
): PlacedEdge[] {
  return edges.map(({ from, to }, edge) => {
    const runs: { y: number; x0: number; x1: number }[] = [];
    let label = { x: 0, y: 0 };
    segments.forEach((segment, i) => {
      if (segment.edge !== edge) return;
      const start = columns[(slots[segment.from] as Slot).layer] as Column;
      const end = columns[(slots[segment.to] as Slot).layer] as Column;
      const right = start.x + start.width;
      const previous = runs.at(-1);
      if (previous === undefined) runs.push({ y: leaves[i] as number, x0: right, x1: right });
      else previous.x1 = right;
      label = { x: end.x - end.levelWidth, y: reaches[i] as number };
      runs.push({ y: label.y, x0: label.x, x1: end.x });
    });
    return { from, to, runs, label };
  });
}

const moveUp = ({ runs, label, ...ends }: PlacedEdge, by: number): PlacedEdge => ({
  ...ends,
  runs: runs.map((run) => ({ ...run, y: run.y - by })),
  label: { x: label.x, y: label.y - by },
});
