import { readFileSync } from "node:fs";

/** Fenced block of a page. */
export interface CodeBlock {
  /** Language of the fence: `"ts"`, `"sh"`. */
  readonly language: string;
  /** File name in the first line of the block, `// service.ts`; `undefined` without one. */
  readonly file: string | undefined;
  readonly code: string;
  /** Line of the page on which the code begins. */
  readonly line: number;
}

/** Reads the fenced blocks of a Markdown page, in order. */
export function readCodeBlocks(path: string): CodeBlock[] {
  const text = readFileSync(path, "utf8");
  return [...text.matchAll(/^```(\w+)[^\n]*\n([\s\S]*?)^```$/gm)].map((match) => {
    const [, language = "", code = ""] = match;
    const file = /^\/\/ (\S+\.ts)$/m.exec(code.split("\n", 1)[0] ?? "")?.[1];
    return { language, file, code, line: text.slice(0, match.index).split("\n").length + 1 };
  });
}
