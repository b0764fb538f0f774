import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

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

/** Returns the relative links of a page, such as `"guide/tasks.md#progress"`, that lead to no file or heading. */
export function findBrokenLinks(page: string): string[] {
  const text = readFileSync(page, "utf8").replace(/^```[\s\S]*?^```$/gm, "");
  const targets = [...text.matchAll(/\]\((?!\w+:)([^)\s]+)\)/g)].map(([, target = ""]) => target);
  return targets.filter((target) => !linkWorks(page, target));
}

function linkWorks(page: string, target: string): boolean {
  const [path = "", heading] = target.split("#");
  const file = path === "" ? page : join(dirname(page), path);
  if (!existsSync(file)) return false;
  if (heading === undefined || !file.endsWith(".md")) return true;
  const headings = [...readFileSync(file, "utf8").matchAll(/^#+ (.*)$/gm)].map(([, title = ""]) => toAnchor(title));
  return headings.includes(heading);
}

/** Makes the anchor that GitHub gives a heading. */
const toAnchor = (title: string) =>
  title
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, "")
    .replaceAll(" ", "-");
