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
  /** Width of the label at the end of the line, in pixels; 0 for none. */
  readonly labelWidth: number;
}

/** Slot in a layer, for a node or for a long edge that passes the layer. */
export interface Slot {
  /** Index into `nodes`; -1 for a slot that only an edge passes. */
  readonly node: number;
  readonly height: number;
  readonly layer: number;
}

/** Part of an edge between two neighbouring layers. `from` and `to` are indices into `slots`. */
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
 * Puts each node one layer after the last node that points to it, and gives long edges a slot in every layer they pass.
 *
 * @param nodes Slot `i` belongs to node `i`; the slots of passing edges follow.
 * @param edges Edges without a cycle, with both ends among `nodes`.
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

/** Longest path to each node. Takes as many rounds as the longest path has edges. */
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

type Order = readonly (readonly number[])[];

/** Number of sweeps over the layers; an order rarely improves after the first few. */
const sweeps = 12;

/**
 * Orders the slots of each layer so that few lines cross: each layer by the mean position of its neighbours, down and
 * up in turn, then swaps neighbours while that helps. Keeps the best order found, the first among equals.
 */
export function orderLayers({ layers, segments }: LayeredGraph): number[][] {
  let best: number[][] = layers.map((layer) => [...layer]);
  let fewest = countCrossings(best, segments);
  let order = best;
  for (let sweep = 0; sweep < sweeps && fewest > 0; sweep++) {
    order = swapNeighbours(sortByMeans(order, segments, sweep % 2 === 0), segments);
    const crossings = countCrossings(order, segments);
    if (crossings < fewest) [best, fewest] = [order, crossings];
  }
  return best;
}

/** Counts pairs of lines that cross. Quadratic in the number of edges, which is small here. */
export function countCrossings(order: Order, segments: readonly Segment[]): number {
  const places = placesOf(order);
  const layerOf = new Map(order.flatMap((layer, i) => layer.map((slot) => [slot, i] as const)));
  let crossings = 0;
  segments.forEach((a, i) => {
    for (const b of segments.slice(i + 1)) {
      if (layerOf.get(a.from) !== layerOf.get(b.from)) continue;
      const starts = (places.get(a.from) as number) - (places.get(b.from) as number);
      const ends = (places.get(a.to) as number) - (places.get(b.to) as number);
      if (starts * ends < 0) crossings++;
    }
  });
  return crossings;
}

const placesOf = (order: Order) =>
  new Map(order.flatMap((layer) => layer.map((slot, place) => [slot, place] as const)));

function sortByMeans(order: Order, segments: readonly Segment[], isDown: boolean): number[][] {
  const sorted = order.map((layer) => [...layer]);
  const last = sorted.length - 1;
  for (let step = 1; step <= last; step++) {
    const at = isDown ? step : last - step;
    const layer = sorted[at] as number[];
    const places = placesOf(sorted);
    const means = new Map(
      layer.map((slot) => {
        const neighbours = segments.flatMap(({ from, to }) =>
          isDown ? (to === slot ? [from] : []) : from === slot ? [to] : [],
        );
        const sum = neighbours.reduce((total, neighbour) => total + (places.get(neighbour) as number), 0);
        return [slot, neighbours.length === 0 ? (places.get(slot) as number) : sum / neighbours.length];
      }),
    );
    layer.sort((a, b) => (means.get(a) as number) - (means.get(b) as number));
  }
  return sorted;
}

function swapNeighbours(order: number[][], segments: readonly Segment[]): number[][] {
  let fewest = countCrossings(order, segments);
  for (const layer of order) {
    for (let i = 0; i + 1 < layer.length; i++) {
      const [upper, lower] = [layer[i] as number, layer[i + 1] as number];
      [layer[i], layer[i + 1]] = [lower, upper];
      const crossings = countCrossings(order, segments);
      if (crossings < fewest) fewest = crossings;
      else [layer[i], layer[i + 1]] = [upper, lower];
    }
  }
  return order;
}
