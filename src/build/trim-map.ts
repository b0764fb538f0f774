/** Fields of a source map that are read (version 3). */
interface SourceMap {
  readonly sources: readonly string[];
  readonly sourcesContent?: readonly (string | null)[];
  readonly mappings: string;
}

const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/** Values of the digits by their character; -1 for what ends a segment. */
const values = Int8Array.from({ length: 128 }, (_, code) => digits.indexOf(String.fromCharCode(code)));

/**
 * Leaves files out of a source map: those of packages, which nobody steps through, are most of it. Names are dropped:
 * the bundler keeps those of the source.
 *
 * @param isKept True for a source that stays.
 */
export function trimMap(text: string, isKept: (source: string) => boolean): string {
  const { sources, sourcesContent = [], mappings } = JSON.parse(text) as SourceMap;
  const kept = sources.flatMap((source, index) => (isKept(source) ? [index] : []));
  const places = new Map(kept.map((index, place) => [index, place]));
  return JSON.stringify({
    version: 3,
    sources: kept.map((index) => sources[index]),
    sourcesContent: kept.map((index) => sourcesContent[index] ?? null),
    names: [],
    mappings: trimMappings(mappings, places),
  });
}

/** Fields of the segment that was read last: steps of column, source, line and column in the source. */
const steps = [0, 0, 0, 0, 0];

/** Reads the segment that begins at `from`. @returns Its end. */
function readSegment(text: string, from: number): { readonly end: number; readonly fields: number } {
  let [fields, value, shift, at] = [0, 0, 0, from];
  for (; at < text.length; at++) {
    const digit = values[text.charCodeAt(at)] as number;
    if (digit < 0) break;
    value += (digit & 31) << shift;
    shift += 5;
    if ((digit & 32) !== 0) continue;
    steps[fields++] = (value & 1) === 1 ? -(value >> 1) : value >> 1;
    value = 0;
    shift = 0;
  }
  return { end: at, fields };
}

function trimMappings(text: string, places: ReadonlyMap<number, number>): string {
  let [source, line, column, at, writtenAt] = [0, 0, 0, 0, 0];
  const written = { source: 0, line: 0, column: 0 };
  let [isMapped, isFirst] = [false, true];
  let result = "";
  for (let index = 0; index < text.length; ) {
    const char = text[index];
    if (char === ";" || char === ",") {
      index++;
      if (char === ",") continue;
      result += ";";
      [at, writtenAt, isFirst] = [0, 0, true];
      continue;
    }
    const { end, fields } = readSegment(text, index);
    index = end;
    at += steps[0] as number;
    if (fields >= 4) {
      source += steps[1] as number;
      line += steps[2] as number;
      column += steps[3] as number;
    }
    const place = fields >= 4 ? places.get(source) : undefined;
    // One segment without a source ends what came before it.
    if (place === undefined && !isMapped) continue;
    result += (isFirst ? "" : ",") + encode(at - writtenAt);
    [writtenAt, isFirst, isMapped] = [at, false, place !== undefined];
    if (place === undefined) continue;
    result += encode(place - written.source) + encode(line - written.line) + encode(column - written.column);
    Object.assign(written, { source: place, line, column });
  }
  return result;
}

function encode(number: number): string {
  let rest = number < 0 ? (-number << 1) | 1 : number << 1;
  let text = "";
  do {
    const digit = rest & 31;
    rest >>>= 5;
    text += digits[rest > 0 ? digit | 32 : digit];
  } while (rest > 0);
  return text;
}
