/** One entry of a SentencePiece vocabulary: the piece of text and its log-probability. */
export type VocabularyEntry = readonly [piece: string, score: number];

/** The encoder keeps the first entries for itself (unknown, begin, end …). */
const reservedEntries = 6;
const unknownId = 0;
const unknownPenalty = 20;
const wordStart = "\u2581";

interface Step {
  score: number;
  /** Start of the piece that ends here. */
  from: number;
  id: number;
}

/** SentencePiece unigram tokenizer: the segmentation with the highest summed log-probability (Viterbi). */
export class SentenceTokenizer {
  readonly #ids = new Map<string, number>();
  readonly #scores: readonly number[];
  readonly #longestPiece: number;

  constructor(vocabulary: readonly VocabularyEntry[]) {
    this.#scores = vocabulary.map(([, score]) => score);
    let longest = 0;
    vocabulary.forEach(([piece], id) => {
      if (id < reservedEntries) return;
      this.#ids.set(piece, id);
      longest = Math.max(longest, [...piece].length);
    });
    this.#longestPiece = longest;
  }

  encode(text: string): number[] {
    const characters = [...(wordStart + text.normalize("NFKC").trim().replace(/\s+/g, wordStart))];
    const steps: Step[] = Array.from({ length: characters.length + 1 }, () => ({ score: -Infinity, from: 0, id: 0 }));
    steps[0] = { score: 0, from: 0, id: unknownId };
    for (let start = 0; start < characters.length; start++) this.#extend(steps, characters, start);
    return readBack(steps);
  }

  /** Tries every piece that begins at `start`. */
  #extend(steps: Step[], characters: readonly string[], start: number): void {
    const base = steps[start]?.score ?? -Infinity;
    const improve = (end: number, score: number, id: number) => {
      if (score > (steps[end]?.score ?? -Infinity)) steps[end] = { score, from: start, id };
    };
    let piece = "";
    let hasSingleCharacter = false;
    for (let end = start + 1; end <= Math.min(characters.length, start + this.#longestPiece); end++) {
      piece += characters[end - 1];
      const id = this.#ids.get(piece);
      if (id === undefined) continue;
      hasSingleCharacter ||= end === start + 1;
      improve(end, base + (this.#scores[id] ?? 0), id);
    }
    if (!hasSingleCharacter) improve(start + 1, base - unknownPenalty, unknownId);
  }
}

/** Follows the best path from its end; neighbouring unknown characters count as one. */
function readBack(steps: readonly Step[]): number[] {
  const ids: number[] = [];
  let position = steps.length - 1;
  while (position > 0) {
    const { id, from } = steps[position] ?? { id: unknownId, from: 0 };
    if (id !== unknownId || ids.at(-1) !== unknownId) ids.push(id);
    position = from;
  }
  return ids.reverse();
}
