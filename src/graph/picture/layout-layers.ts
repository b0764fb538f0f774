/** A box to place. Sizes are in pixels. */
export interface LayoutNode {
  readonly id: string;
  readonly width: number;
  readonly height: number;
}

/** A line to draw from one box to another. */
export interface LayoutEdge {
  readonly from: string;
  readonly to: string;
  /** Pixels its label takes at the end of the line; 0 for none. */
  readonly labelWidth: number;
}

/** A place in a layer: that of a node, or of a long edge passing by. */
export interface Slot {
  /** Index into `nodes`; -1 for a place that only an edge passes. */
  readonly node: number;
  readonly height: number;
  readonly layer: number;
}

/** The part of an edge between two neighbouring layers. `from` and `to` are indices into `slots`. */
export interface Segment {
  readonly from: number;
  readonly to: number;
  /** Index into `edges`. */
  readonly edge: number;
}

/** A graph in which every line goes from one layer to the next. */
export interface LayeredGraph {
  readonly slots: readonly Slot[];
  readonly segments: readonly Segment[];
  /** Slots of each layer, first in the order found walking down from the first node. */
  readonly layers: readonly (readonly number[])[];
}

/**
 * Puts each node one layer after the last of those that point to it, and gives long edges a place in every layer passed.
 *
 * @param nodes Slot `i` is that of node `i`; the slots of passing edges follow.
 * @param edges No cycle, and both ends among `nodes`.
 */
export function createLayers(nodes: readonly LayoutNode[], edges: readonly LayoutEdge[]): LayeredGraph {
  const indexOf = new Map(nodes.map((node, i) => [node.id, i]));
  const ends = edges.map(({ from, to }) => [indexOf.get(from) as number, indexOf.get(to) as number] as const);
  const depths = longestPaths(nodes.length, ends);
  const slots: Slot[] = nodes.map(({ height }, i) => ({ node: i, height, layer: depths[i] as number }));
  const segments: Segment[] = [];
  ends.forEach(([from, to], edge) => {
    let last = from;
    for (let layer = (depths[from] as number) + 1; layer < (depths[to] as number); layer++) {
      slots.push({ node: -1, height: 0, layer });
      segments.push({ from: last, to: slots.length - 1, edge });
      last = slots.length - 1;
    }
    segments.push({ from: last, to, edge });
  });
  return { slots, segments, layers: listLayers(slots, segments) };
}

/** Settles after as many rounds as the longest path has edges. */
function longestPaths(count: number, ends: readonly (readonly [number, number])[]): number[] {
  const depths = new Array<number>(count).fill(0);
  for (let round = 0, isSettled = false; !isSettled && round < count; round++) {
    isSettled = true;
    for (const [from, to] of ends) {
      const depth = (depths[from] as number) + 1;
      if (depth <= (depths[to] as number)) continue;
      depths[to] = depth;
      isSettled = false;
    }
  }
  return depths;
}

function listLayers(slots: readonly Slot[], segments: readonly Segment[]): number[][] {
  const layers: number[][] = [];
  const seen = new Set<number>();
  const visit = (slot: number): void => {
    if (seen.has(slot)) return;
    seen.add(slot);
    (layers[(slots[slot] as Slot).layer] ??= []).push(slot);
    for (const segment of segments) if (segment.from === slot) visit(segment.to);
  };
  slots.forEach((_, slot) => {
    visit(slot);
  });
  return layers;
}
