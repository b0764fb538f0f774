import { readFile } from "node:fs/promises";
import type { DocumentKind } from "./document-kinds.ts";

/** A page of the fixtures and what is printed on it. */
export interface Expected {
  readonly page: string;
  readonly label: DocumentKind;
  readonly language: string;
  readonly lines: readonly string[];
}

const fixtures = new URL("fixtures/", import.meta.url);

export async function readExpected(): Promise<Expected[]> {
  return JSON.parse(await readFile(new URL("expected.json", fixtures), "utf8")) as Expected[];
}

/** A page as somebody would upload it. */
export async function readPage(name: string): Promise<File> {
  const bytes = await readFile(locatePage(name));
  return new File([bytes], name, { type: "image/png" });
}

export function locatePage(name: string): URL {
  return new URL(`pages/${name}`, fixtures);
}
