/**
 * True when a JSON text has more than `maxDepth` levels of lists and objects; brackets in strings do not count.
 *
 * Runs before parsing, so that a text full of brackets never becomes objects.
 */
export function isDeeper(text: string, maxDepth: number): boolean {
  if (hasFewBrackets(text, maxDepth)) return false;
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case 0x22: // "
        at = endOfString(text, at + 1);
        break;
      case 0x5b: // [
      case 0x7b: // {
        if (++depth > maxDepth) return true;
        break;
      case 0x5d: // ]
      case 0x7d: // }
        depth--;
    }
  }
  return false;
}

/** True for nearly all texts: fewer brackets than `max` can't make more levels. Searching is faster than reading. */
export function hasFewBrackets(text: string, max: number): boolean {
  if (text.length <= max) return true;
  let count = 0;
  for (let at = text.indexOf("["); at >= 0; at = text.indexOf("[", at + 1)) if (++count > max) return false;
  for (let at = text.indexOf("{"); at >= 0; at = text.indexOf("{", at + 1)) if (++count > max) return false;
  return true;
}

/** Index of the quote that ends a string whose text starts at `from`; the length of the text without one. */
export function endOfString(text: string, from: number): number {
  for (let at = text.indexOf('"', from); at >= 0; at = nextQuote(text, at + 1)) {
    let slashes = 0;
    while (text.charCodeAt(at - 1 - slashes) === 0x5c) slashes++;
    if (slashes % 2 === 0) return at;
  }
  return text.length;
}

/**
 * Finds the next quote. Looks at 32 characters first: after an escaped quote the next is often near, and looking is
 * faster.
 */
function nextQuote(text: string, from: number): number {
  for (let at = from; at < from + 32 && at < text.length; at++) if (text.charCodeAt(at) === 0x22) return at;
  return text.indexOf('"', from + 32);
}
