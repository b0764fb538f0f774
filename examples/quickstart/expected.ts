import { readFile } from "node:fs/promises";
import type { Language } from "./model.ts";

/** A sentence and the language it is written in. */
export interface Expected {
  readonly rawInput: string;
  readonly label: Language;
}

export async function readExpected(): Promise<Expected[]> {
  return JSON.parse(await readFile(new URL("fixtures/expected.json", import.meta.url), "utf8")) as Expected[];
}
