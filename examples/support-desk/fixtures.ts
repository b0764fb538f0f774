import { mkdtempSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A question, the document that answers it, and words of the answer. */
export interface Expected {
  readonly question: string;
  readonly title: string;
  readonly says: string;
}

const fixtures = join(import.meta.dirname, "fixtures");

/** A document that the library does not have at first. */
export const warrantyFile = join(fixtures, "warranty.md");

export async function readExpected(): Promise<Expected[]> {
  return JSON.parse(await readFile(join(fixtures, "expected.json"), "utf8")) as Expected[];
}

export async function readWarranty(): Promise<File> {
  return new File([await readFile(warrantyFile)], "warranty.md", { type: "text/markdown" });
}

/** Gives the services that this process starts a library of their own. @returns A function that removes it. */
export function createLibraryFolder(): () => void {
  const folder = mkdtempSync(join(tmpdir(), "support-desk-"));
  process.env["SUPPORT_DESK_DATA"] = folder;
  return () => rmSync(folder, { recursive: true, force: true });
}
