/** Font stacks: sans-serif for names, fixed width for types. Every system has these fonts. */
export const fonts = {
  sans: "-apple-system, BlinkMacSystemFont, 'Segoe UI', 'Noto Sans', Helvetica, Arial, sans-serif",
  mono: "ui-monospace, SFMono-Regular, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace",
} as const;

/**
 * Upper bounds of the widths of sans-serif characters, in thousandths of the font size. They are those of DejaVu Sans,
 * the widest of the likely fallback fonts. Other characters count as wide as the font size.
 */
const signWidths: readonly (readonly [width: number, signs: string])[] = [
  [300, "IJijl"],
  [350, " ,./:;\\|'"],
  [410, "!()-[]ft"],
  [450, "r"],
  [500, '"*_`–'],
  [550, "?csz"],
  [600, "FLkvxy"],
  [650, "$0123456789EPSTYabdeghnopqu{}"],
  [700, "ABCKRVXZ"],
  [750, "NU"],
  [800, "&DGHOQ"],
  [850, "#+<=>^w~→×"],
  [900, "M"],
];

const widthBySign = new Map(signWidths.flatMap(([width, signs]) => [...signs].map((sign) => [sign, width] as const)));

/** Style of a piece of text. `size` is in pixels. */
export interface TextStyle {
  readonly font: keyof typeof fonts;
  readonly size: number;
  readonly isBold?: boolean;
}

/** Upper bound of the width of `text` in pixels, for any of the fonts. */
export function measureText(text: string, { font, size, isBold = false }: TextStyle): number {
  let thousandths = 0;
  for (const sign of text) {
    const isWide = (sign.codePointAt(0) ?? 0) >= 0x1100 && sign !== "→" && sign !== "…";
    if (font === "mono") thousandths += isWide ? 1200 : 605;
    else thousandths += widthBySign.get(sign) ?? 1000;
  }
  return Math.ceil((thousandths / 1000) * size * (isBold && font === "sans" ? 1.12 : 1));
}

/** Cuts `text` to `maxWidth` pixels, with an ellipsis if it is cut. */
export function fitText(text: string, maxWidth: number, style: TextStyle): string {
  if (measureText(text, style) <= maxWidth) return text;
  const signs = [...text];
  while (signs.length > 1 && measureText(`${signs.join("")}…`, style) > maxWidth) signs.pop();
  return `${signs.join("")}…`;
}

/** Escapes a text for XML content and attributes. Drops control characters, which XML can't express. */
export function escapeXml(text: string): string {
  const entities: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
  return (
    text
      .replace(/\p{Surrogate}/gu, "�")
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters XML 1.0 can't hold.
      .replace(/[\u0000-\u0008\u000B\u000C\u000E-\u001F\uFFFE\uFFFF]/g, "")
      .replace(/[&<>"']/g, (sign) => entities[sign] as string)
  );
}
