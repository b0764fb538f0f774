import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { Issue } from "../failure/failures.js";

/** More says nothing to a reader: a library lists all that would have been right, or every unknown key. */
const longestMessage = 500;

/** An issue as failures tell it, short enough to be read. */
export function createIssue({ path, message }: StandardSchemaV1.Issue): Issue {
  return { path: formatPath(path), message: shorten(message, longestMessage) };
}

const shorten = (text: string, most: number): string => (text.length > most ? `${text.slice(0, most)}…` : text);

/** `["lines", 2, "text"]` → `"lines[2].text"`. */
function formatPath(path: StandardSchemaV1.Issue["path"]): string {
  let text = "";
  for (const segment of path ?? []) {
    const key = typeof segment === "object" ? segment.key : segment;
    if (typeof key === "number") text += `[${key}]`;
    else text += `${text === "" ? "" : "."}${shorten(String(key), 100)}`;
  }
  return text;
}
