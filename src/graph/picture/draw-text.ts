/** Sans-serif for names, fixed width for types: fonts every system has, so that a picture needs none of its own. */
export const fonts = {
  sans: "-apple-system, BlinkMacSystemFont, 'Segoe UI', 'Noto Sans', Helvetica, Arial, sans-serif",
  mono: "ui-monospace, SFMono-Regular, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace",
} as const;

/**
 * Upper bounds of how wide sans-serif signs are, in thousandths of the font size: those of DejaVu Sans, the widest of
 * the fonts a browser is likely to fall back on. Signs not listed are as wide as the font size.
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

/** How a piece of text is set. `size` is in pixels. */
export interface TextStyle {
  readonly font: keyof typeof fonts;
  readonly size: number;
  readonly isBold?: boolean;
}

/** At least how many pixels wide `text` may become, whichever of the fonts is used. */
export function measureText(text: string, { font, size, isBold = false }: TextStyle): number {
  let thousandths = 0;
  for (const sign of text) {
    const isWide = (sign.codePointAt(0) ?? 0) >= 0x1100 && sign !== "→" && sign !== "…";
    if (font === "mono") thousandths += isWide ? 1200 : 605;
    else thousandths += widthBySign.get(sign) ?? 1000;
  }
  return Math.ceil((thousandths / 1000) * size * (isBold && font === "sans" ? 1.12 : 1));
}

/** `text`, or as much of it as fits `maxWidth` pixels with an ellipsis. */
export function fitText(text: string, maxWidth: number, style: TextStyle): string {
  if (measureText(text, style) <= maxWidth) return text;
  const signs = [...text];
  while (signs.length > 1 && measureText(`${signs.join("")}…`, style) > maxWidth) signs.pop();
  return `${signs.join("")}…`;
}

/** Text as it may stand in XML, in content and in attributes; control characters, which XML has no way to say, are dropped. */
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
