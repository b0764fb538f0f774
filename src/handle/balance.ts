import type { ReplicaLink } from "../call/link.js";

// Chooses among the links of one service. There are at least two.
//
// HB1  Of two links taken at random the one with the smaller burden gets the call. Callers that each took the least
//      loaded of all would send their calls to the same replica until its next report.
// HB2  While replicas of the own zone are ready, calls stay there, unless both that were taken have all slots in use.
// HB3  Calls with one key go to the replica with the highest hash of key and name (rendezvous hashing). A replica that
//      comes or goes moves only its own share of the keys.
// HB4  No replica gets calls by key beyond a quarter more than the mean of all: the next in the order of hashes does.
//      The bound is that of "Consistent Hashing with Bounded Loads" (Mirrokni, Thorup, Zadimoghaddam, 2016). It does
//      not hold while a replica has few calls: moving those would lose what a key is given for.

const boundFactor = 1.25;
/** Burden from which on a replica has no free slot. */
const fullBurden = 1;
/** Load below which a key never moves: half of the slots, or so many calls where slots are not known. */
const freeBurden = 0.5;
const freeCalls = 8;

/** Picks the less loaded of two links, in the own zone if that has some (HB1, HB2). @param near Those of that zone. */
export function pickOfTwo(
  links: readonly ReplicaLink[],
  near: readonly ReplicaLink[],
  random: () => number,
): ReplicaLink {
  if (near.length === 0) return lighter(links, random);
  const own = lighter(near, random);
  if (burdenOf(own) < fullBurden) return own;
  const other = lighter(links, random);
  return burdenOf(other) < burdenOf(own) ? other : own;
}

/** Picks the link for a key (HB3, HB4). */
export function pickByKey(links: readonly ReplicaLink[], key: string): ReplicaLink {
  let sum = 0;
  for (const link of links) sum += burdenOf(link);
  const free = links[0]?.burden === undefined ? freeCalls : freeBurden;
  const bound = Math.max(free, (boundFactor * sum) / links.length);
  const seed = hashText(key, 0x811c9dc5);
  let best: ReplicaLink | undefined;
  let bestHash = -1;
  for (const link of links) {
    if (burdenOf(link) >= bound) continue;
    const hash = mix(hashText(link.replica, seed));
    if (hash <= bestHash) continue;
    best = link;
    bestHash = hash;
  }
  // Rounding alone can leave none below the bound.
  return best ?? (links[0] as ReplicaLink);
}

function lighter(links: readonly ReplicaLink[], random: () => number): ReplicaLink {
  const { length } = links;
  const first = Math.floor(random() * length);
  const one = links[first] as ReplicaLink;
  if (length === 1) return one;
  const step = 1 + Math.floor(random() * (length - 1));
  const other = links[(first + step) % length] as ReplicaLink;
  return burdenOf(other) < burdenOf(one) ? other : one;
}

const burdenOf = ({ burden, inFlight }: ReplicaLink): number => burden ?? inFlight;

/** FNV-1a over the code units of a text. */
function hashText(text: string, seed: number): number {
  let hash = seed;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash;
}

/** Spreads the bits of a hash: names that differ in their last character alone would else be near one another. */
function mix(hash: number): number {
  let h = hash ^ (hash >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
