/** Length of a feature row. A power of two, so that a hash is cut to it by a mask. */
export const featureCount = 8192;

const fnvOffset = 0x811c9dc5;
const fnvPrime = 0x01000193;

/**
 * Counts the letter triples of a text. Shape `[8192]`.
 *
 * Triples are told apart by a hash, so no dictionary is needed; two rare ones may share a place.
 */
export function countTriples(text: string): Float32Array {
  const counts = new Float32Array(featureCount);
  const letters = text
    .toLowerCase()
    .normalize("NFC")
    .replace(/[^\p{L}]+/gu, " ")
    .trim();
  // The spaces at both ends make the first and last letters of words count as such.
  const padded = ` ${letters} `;
  for (let start = 0; start + 3 <= padded.length; start++) {
    const place = hash(padded, start, start + 3) & (featureCount - 1);
    counts[place] = (counts[place] ?? 0) + 1;
  }
  return counts;
}

/** FNV-1a over UTF-16 code units, its upper half folded in. */
function hash(text: string, start: number, end: number): number {
  let value = fnvOffset;
  for (let i = start; i < end; i++) value = Math.imul(value ^ text.charCodeAt(i), fnvPrime);
  return value ^ (value >>> 15);
}
