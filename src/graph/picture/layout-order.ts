import type { LayeredGraph, Segment } from "./layout-layers.js";

type Order = readonly (readonly number[])[];

/** Sweeps over the layers; an order rarely improves after the first few. */
const sweeps = 12;

/**
 * Orders the slots of each layer so that few lines cross: each layer by the mean place of its neighbours, down and up
 * in turn, then swapping neighbours while that helps. The best order met is kept, the first among equals.
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

/** Pairs of lines that cross. Quadratic in the number of edges, which is small here. */
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
