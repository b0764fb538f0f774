/** One range of an `accept` header (RFC 9110, section 12.5.1). */
export interface AcceptRange {
  readonly type: string;
  readonly subtype: string;
  /** 0 refuses it, 1 is best. */
  readonly quality: number;
  /** Lower-case names. */
  readonly parameters: ReadonlyMap<string, string>;
}

/** Reads an `accept` header; what is no media range in it is passed over. */
export function parseAccept(header: string): readonly AcceptRange[] {
  return header.split(",").flatMap((part) => {
    const [name = "", ...rest] = part.split(";").map((text) => text.trim());
    const [type, subtype] = name.toLowerCase().split("/");
    if (!type || !subtype) return [];
    const parameters = new Map(rest.map(readParameter));
    const quality = Number(parameters.get("q") ?? 1);
    return [{ type, subtype, quality: quality >= 0 && quality <= 1 ? quality : 0, parameters }];
  });
}

function readParameter(text: string): [string, string] {
  const equals = text.indexOf("=");
  if (equals < 0) return [text.toLowerCase(), ""];
  return [
    text.slice(0, equals).trim().toLowerCase(),
    text
      .slice(equals + 1)
      .trim()
      .replace(/^"(.*)"$/, "$1"),
  ];
}

/**
 * The offered media type a client likes best: by quality, then by how exactly it was named, then in the order offered.
 *
 * @param offers May hold patterns (`"image/*"`), for what is only known once the answer is there.
 * @returns      `undefined` when none of them fits.
 */
export function pickType(ranges: readonly AcceptRange[], offers: readonly string[]): string | undefined {
  let best: { readonly offer: string; readonly quality: number; readonly exactness: number } | undefined;
  for (const offer of offers) {
    const range = matchRange(ranges, offer);
    if (range === undefined || range.quality === 0) continue;
    const { quality } = range;
    const exactness = exactnessOf(range);
    if (best === undefined || quality > best.quality || (quality === best.quality && exactness > best.exactness)) {
      best = { offer, quality, exactness };
    }
  }
  return best?.offer;
}

/** The range that says most exactly what the client thinks of an offer. */
export function matchRange(ranges: readonly AcceptRange[], offer: string): AcceptRange | undefined {
  const [type = "", subtype = ""] = offer.split("/");
  let match: AcceptRange | undefined;
  for (const range of ranges) {
    if (!fits(range.type, type) || !fits(range.subtype, subtype)) continue;
    if (match === undefined || exactnessOf(range) > exactnessOf(match)) match = range;
  }
  return match;
}

const fits = (range: string, offered: string): boolean => range === "*" || offered === "*" || range === offered;

const exactnessOf = (range: AcceptRange): number =>
  range.type === "*" ? 0 : range.subtype === "*" ? 1 : 2 + range.parameters.size / 100;
