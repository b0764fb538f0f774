import type { LayeredGraph, Segment, Slot } from "./layout-layers.js";

/** Pixels between two cards of a column, and between a card and a line passing it. */
export const rowGap = 26;
/** Pixels between two lines that reach or leave the same card, or pass next to each other. */
export const lineGap = 20;
/** Pixels at the top and bottom of a card where no line reaches or leaves it. */
export const cornerHeight = 18;
/** Rise in pixels below which a line is made horizontal, if its ends can move that far. */
const smallRise = 14;
const sweeps = 60;

/** Heights of everything in a layered graph, in whole pixels. */
export interface Rows {
  /** Centre of each slot. */
  readonly centres: readonly number[];
  /** Height at which each segment leaves its slot. */
  readonly leaves: readonly number[];
  /** Height at which each segment reaches its slot. */
  readonly reaches: readonly number[];
}

/** Moves each slot as close to the height of its neighbours as the order and the gaps allow. */
export function placeRows(graph: LayeredGraph, order: readonly (readonly number[])[]): Rows {
  const leaveOffsets = spreadPorts(graph.segments, order, "from");
  const reachOffsets = spreadPorts(graph.segments, order, "to");
  const pulls = graph.slots.map((_, slot) => findPulls(slot, graph, leaveOffsets, reachOffsets));
  const centres = new Array<number>(graph.slots.length).fill(0);
  for (const layer of order)
    settle(
      layer,
      layer.map(() => ({ wanted: 0, weight: 1 })),
      graph.slots,
      centres,
    );
  for (let sweep = 0; sweep < sweeps; sweep++) {
    for (const layer of sweep % 2 === 0 ? order : [...order].reverse()) {
      const wishes = layer.map((slot) => wishOf(pulls[slot] as Pull[], centres, slot));
      settle(layer, wishes, graph.slots, centres);
    }
  }
  const whole = centres.map((centre) => Math.round(centre));
  const leaves = graph.segments.map(({ from }, i) => (whole[from] as number) + (leaveOffsets[i] as number));
  const reaches = graph.segments.map(({ to }, i) => (whole[to] as number) + (reachOffsets[i] as number));
  straighten(graph, whole, leaves, reaches);
  return { centres: whole, leaves, reaches };
}

/**
 * Offsets from the slot's centre at which segments leave or reach it: side by side, in the order of their other ends.
 */
function spreadPorts(
  segments: readonly Segment[],
  order: readonly (readonly number[])[],
  side: "from" | "to",
): number[] {
  const other = side === "from" ? "to" : "from";
  const places = new Map(order.flatMap((layer) => layer.map((slot, place) => [slot, place] as const)));
  return segments.map((segment) => {
    const sharing = segments
      .filter((candidate) => candidate[side] === segment[side])
      .sort((a, b) => (places.get(a[other]) as number) - (places.get(b[other]) as number));
    return (sharing.indexOf(segment) - (sharing.length - 1) / 2) * lineGap;
  });
}

/** Wish of a neighbour for a slot `offset` below its own centre, which makes the line between them horizontal. */
interface Pull {
  readonly neighbour: number;
  readonly offset: number;
  readonly weight: number;
}

/** Finds the pulls on each slot. Long edges pull hardest, so that they run straight. */
function findPulls(
  slot: number,
  { slots, segments }: LayeredGraph,
  leaveOffsets: readonly number[],
  reachOffsets: readonly number[],
): Pull[] {
  return segments.flatMap(({ from, to }, i) => {
    if (from !== slot && to !== slot) return [];
    const passing = [from, to].filter((end) => (slots[end] as Slot).node < 0).length;
    const weight = [1, 3, 8][passing] as number;
    const drop = (leaveOffsets[i] as number) - (reachOffsets[i] as number);
    return [from === slot ? { neighbour: to, offset: -drop, weight } : { neighbour: from, offset: drop, weight }];
  });
}

interface Wish {
  readonly wanted: number;
  readonly weight: number;
}

function wishOf(pulls: readonly Pull[], centres: readonly number[], slot: number): Wish {
  const weight = pulls.reduce((sum, pull) => sum + pull.weight, 0);
  if (weight === 0) return { wanted: centres[slot] as number, weight: 0.01 };
  const sum = pulls.reduce(
    (total, pull) => total + ((centres[pull.neighbour] as number) + pull.offset) * pull.weight,
    0,
  );
  return { wanted: sum / weight, weight };
}

/**
 * Moves the slots of one layer to their wished heights, with the least sum of squared distances that keeps order and
 * gaps. Slots that would overlap join into a block at the mean of its members (pool adjacent violators).
 */
function settle(layer: readonly number[], wishes: readonly Wish[], slots: readonly Slot[], centres: number[]): void {
  const offsets: number[] = [];
  layer.forEach((slot, i) => {
    const above = slots[layer[i - 1] ?? slot] as Slot;
    const own = slots[slot] as Slot;
    const gap = above.node < 0 && own.node < 0 ? lineGap : rowGap;
    offsets.push(i === 0 ? 0 : (offsets[i - 1] as number) + above.height / 2 + gap + own.height / 2);
  });
  const blocks: { sum: number; weight: number; size: number }[] = [];
  wishes.forEach(({ wanted, weight }, i) => {
    let block = { sum: (wanted - (offsets[i] as number)) * weight, weight, size: 1 };
    for (let above = blocks.at(-1); above !== undefined; above = blocks.at(-1)) {
      if (above.sum / above.weight <= block.sum / block.weight) break;
      block = { sum: above.sum + block.sum, weight: above.weight + block.weight, size: above.size + block.size };
      blocks.pop();
    }
    blocks.push(block);
  });
  let at = 0;
  for (const { sum, weight, size } of blocks) {
    for (let i = 0; i < size; i++, at++) centres[layer[at] as number] = sum / weight + (offsets[at] as number);
  }
}

/** Makes nearly horizontal lines horizontal: moves their ends at the cards, and keeps order and gaps. */
function straighten(
  { slots, segments }: LayeredGraph,
  centres: readonly number[],
  leaves: number[],
  reaches: number[],
): void {
  const mayMove = (side: "from" | "to", ports: readonly number[], segment: number, y: number): boolean => {
    const slot = (segments[segment] as Segment)[side];
    const { node, height } = slots[slot] as Slot;
    if (node < 0 || Math.abs(y - (centres[slot] as number)) > height / 2 - cornerHeight) return false;
    const own = ports[segment] as number;
    // Labels stand at the ends that reach a card. Ends that leave a card only need to be distinct.
    const least = side === "to" ? lineGap : lineGap / 2;
    return segments.every((other, i) => {
      if (i === segment || other[side] !== slot) return true;
      const port = ports[i] as number;
      return Math.sign(port - own) === Math.sign(port - y) && Math.abs(port - y) >= least;
    });
  };
  segments.forEach((_, i) => {
    const [leave, reach] = [leaves[i] as number, reaches[i] as number];
    if (leave === reach || Math.abs(leave - reach) > smallRise) return;
    if (mayMove("from", leaves, i, reach)) leaves[i] = reach;
    else if (mayMove("to", reaches, i, leave)) reaches[i] = leave;
  });
}
