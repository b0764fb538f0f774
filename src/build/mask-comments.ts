/**
 * Replaces the comments of a file by spaces, so that code in them is not taken for code. Every other character keeps
 * its position. Texts and regular expressions are left as they are.
 */
export function maskComments(text: string): string {
  let result = "";
  let from = 0;
  for (let at = 0; at < text.length; ) {
    const end = endOfToken(text, at);
    const isComment = text[at] === "/" && (text[at + 1] === "/" || text[at + 1] === "*");
    if (isComment) {
      result += text.slice(from, at) + text.slice(at, end).replace(/[^\n]/g, " ");
      from = end;
    }
    at = end;
  }
  return result + text.slice(from);
}

/** Finds the end of the comment, text or regular expression that begins at `at`; of one character for any other. */
function endOfToken(text: string, at: number): number {
  const [first, second] = [text[at], text[at + 1]];
  if (first === "/" && second === "/") return indexOrEnd(text, "\n", at);
  if (first === "/" && second === "*") return Math.min(text.length, indexOrEnd(text, "*/", at + 2) + 2);
  if (first === '"' || first === "'" || first === "`") return endOfQuoted(text, at, first);
  if (first === "/" && beginsExpression(text, at)) return endOfExpression(text, at);
  return at + 1;
}

function indexOrEnd(text: string, wanted: string, from: number): number {
  const index = text.indexOf(wanted, from);
  return index < 0 ? text.length : index;
}

function endOfQuoted(text: string, at: number, quote: string): number {
  for (let index = at + 1; index < text.length; index++) {
    if (text[index] === "\\") index++;
    else if (text[index] === quote) return index + 1;
    // A text in quotes ends with its line; only a template goes on.
    else if (text[index] === "\n" && quote !== "`") return index;
  }
  return text.length;
}

/** True when a slash begins a regular expression, and is no division: by the code before it. */
const beginsExpression = (text: string, at: number): boolean =>
  /(^|[(,=:[!&|?{};+*%<>~^-]|\b(return|typeof|case|in|of|void|delete|await|yield))\s*$/.test(
    text.slice(Math.max(0, at - 40), at),
  );

function endOfExpression(text: string, at: number): number {
  let isInClass = false;
  for (let index = at + 1; index < text.length && text[index] !== "\n"; index++) {
    const char = text[index];
    if (char === "\\") index++;
    else if (char === "[") isInClass = true;
    else if (char === "]") isInClass = false;
    else if (char === "/" && !isInClass) return index + 1;
  }
  return at + 1;
}
