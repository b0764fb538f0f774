/** An integer as the server wrote it, where a double would round it. */
class ExactInteger {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** `JSON.parse` with the third argument of its reviver, which newer engines have and the types of ES2023 do not. */
const parseWithSource = JSON.parse as (
  text: string,
  reviver: (key: string, value: unknown, context?: { readonly source?: string }) => unknown,
) => unknown;

/** Returns the value of a JSON text; `undefined` when the text is not JSON. */
export function parseJson(text: string): { readonly value: unknown } | undefined {
  try {
    const value = parseWithSource(text, (_, value, context) =>
      Number.isInteger(value) && !Number.isSafeInteger(value) && context?.source
        ? new ExactInteger(context.source)
        : value,
    );
    return { value };
  } catch {
    return undefined;
  }
}

/** Columns that a line of short values may take. */
const lineLength = 64;
/** Characters up to which a value of a list shares its line with others. */
const maxFilledLength = 24;

/**
 * Writes a value as JSON for people: short lists and objects on one line, long lists of numbers filled like text.
 *
 * @param isCompact True to put a short object at the top on one line too.
 */
export function printJson(value: unknown, indent = "", isCompact = false): string {
  if (value instanceof ExactInteger) return value.text;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "";
  const isList = Array.isArray(value);
  const inner = `${indent}  `;
  const parts = isList
    ? value.map((item) => printJson(item, inner))
    : Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}: ${printJson(item, inner)}`);
  const [open, close] = isList ? ["[", "]"] : ["{", "}"];
  if (parts.length === 0) return open + close;
  const line = parts.join(", ");
  const isShort = line.length + indent.length <= lineLength && !line.includes("\n");
  if (isShort && (isList || isCompact || indent !== "")) return isList ? `[${line}]` : `{ ${line} }`;
  const isFilled = isList && value.every((item) => typeof item !== "object" && String(item).length <= maxFilledLength);
  return `${open}\n${inner}${isFilled ? fill(parts, inner) : parts.join(`,\n${inner}`)}\n${indent}${close}`;
}

function fill(parts: readonly string[], indent: string): string {
  let text = "";
  let used = 0;
  parts.forEach((item, i) => {
    const isBreak = used > 0 && used + item.length > lineLength - indent.length;
    text += (i === 0 ? "" : isBreak ? `,\n${indent}` : ", ") + item;
    used = (isBreak ? 0 : used) + item.length + 2;
  });
  return text;
}

export type TokenKind = "key" | "string" | "literal" | "number";

/** A piece of JSON text; the characters between tokens have no kind. */
interface Token {
  readonly text: string;
  readonly kind?: TokenKind;
}

const tokenForm = /("(?:\\.|[^"\\])*")(\s*:)?|\b(?:true|false|null)\b|-?\d[\d.eE+-]*/g;

/** Cuts JSON text into tokens, for colouring. */
export function splitTokens(text: string): readonly Token[] {
  const tokens: Token[] = [];
  let at = 0;
  for (const match of text.matchAll(tokenForm)) {
    const [whole, quoted, colon] = match;
    const kind = quoted ? (colon ? "key" : "string") : /^[tfn]/.test(whole) ? "literal" : "number";
    tokens.push({ text: text.slice(at, match.index) }, { text: quoted ?? whole, kind }, { text: colon ?? "" });
    at = match.index + whole.length;
  }
  tokens.push({ text: text.slice(at) });
  return tokens.filter((token) => token.text !== "");
}
