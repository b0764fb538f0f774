// A line that is too long to be written at once, as several that are not: each is a line of JSON by itself, and the texts of
// all, joined, are the line as it was.

/** The first fields that are short stand in each part, since they tell what a line is about; and the beginning of its message. */
const maxLookedAt = 100;
const maxHeadChars = 128;
const maxHeadBytes = 1024;
/** What is longer is cut: some 750 KB, less where it has many quotes. */
const maxParts = 256;

type Fields = Readonly<Record<string, unknown>>;

let splitLines = 0;

/**
 * The parts of a line of JSON, each with a newline at its end: its short fields, `line` (the same in all parts), `part` of `parts`,
 * and `text`. The last has `cut`, characters that are left out, where a line is too long even for that.
 *
 * @param maxBytes Of one part, with its newline. At least 2 KiB.
 */
export function splitLine(line: string, maxBytes: number): string[] {
  const text = line.endsWith("\n") ? line.slice(0, -1) : line;
  const head = { ...pickHead(text), line: `${process.pid}-${++splitLines}` };
  const room = maxBytes - Buffer.byteLength(formatPart(head, maxParts, maxParts, "", Number.MAX_SAFE_INTEGER));
  const pieces: string[] = [];
  let at = 0;
  while (at < text.length && pieces.length < maxParts) {
    const piece = cutPiece(text, at, room);
    pieces.push(piece);
    at += piece.length;
  }
  return pieces.map((piece, index) => {
    const isLast = index === pieces.length - 1;
    return formatPart(head, index + 1, pieces.length, piece, isLast ? text.length - at : 0);
  });
}

function formatPart(head: Fields, part: number, parts: number, text: string, cut: number): string {
  return `${JSON.stringify({ ...head, part, parts, ...(cut > 0 && { cut }), text })}\n`;
}

/** As much as fits, and never half of a character. */
function cutPiece(text: string, at: number, room: number): string {
  let length = Math.min(room, text.length - at);
  for (;;) {
    const last = text.charCodeAt(at + length - 1);
    const isHalf = last >= 0xd800 && last <= 0xdbff && at + length < text.length;
    const piece = text.slice(at, at + length - (isHalf ? 1 : 0));
    const bytes = Buffer.byteLength(JSON.stringify(piece)) - 2;
    if (bytes <= room) return piece;
    length = Math.min(length - 2, Math.floor((length * room) / bytes));
  }
}

function pickHead(text: string): Fields {
  let fields: unknown;
  try {
    fields = JSON.parse(text);
  } catch {
    return {};
  }
  if (typeof fields !== "object" || fields === null) return {};
  const head: Record<string, unknown> = {};
  let bytes = 0;
  for (const [name, value] of Object.entries(fields).slice(0, maxLookedAt)) {
    const short = name === "msg" ? String(value).slice(0, maxHeadChars) : value;
    if (!isShort(name) || !isShort(short)) continue;
    bytes += Buffer.byteLength(JSON.stringify({ [name]: short }));
    if (bytes > maxHeadBytes) break;
    head[name] = short;
  }
  return head;
}

const isShort = (value: unknown): boolean =>
  typeof value === "number" ||
  typeof value === "boolean" ||
  (typeof value === "string" && value.length <= maxHeadChars);
