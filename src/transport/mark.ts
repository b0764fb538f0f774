// What JSON has no word for is written as a mark, an object with the one key "$":
//
//   { "$": "NaN" }                        a value without parts
//   { "$": ["date", 1700000000000] }      a kind and its parts
//
// A record of the author's that has this key is itself marked, so that it is never taken for one. docs/reference/wire.md
// lists the kinds.

/** The one key of a mark. */
export const markKey = "$";

/**
 * Texts from so many characters on are tails: JSON looks at each of their characters when it writes and when it reads.
 * Shorter ones are cheaper in the text.
 */
export const minTailChars = 32_768;

/** Tails that fit in one frame; what is more goes into the text as base64. */
export const maxTails = 65_535;

/** The values whose mark has no parts, by their text. */
export const namedValues: ReadonlyMap<string, undefined | number> = new Map<string, undefined | number>([
  ["undefined", undefined],
  ["NaN", Number.NaN],
  ["Infinity", Number.POSITIVE_INFINITY],
  ["-Infinity", Number.NEGATIVE_INFINITY],
  ["-0", -0],
]);
