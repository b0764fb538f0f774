import { readFile } from "node:fs/promises";

/** One mail of the SpamAssassin public corpus: subject and body, without markup, cut after 400 characters. */
export interface Mail {
  readonly id: string;
  readonly label: "ham" | "spam";
  readonly text: string;
}

/** `test` holds 120 mails, `training` 300 others; half of each are spam. */
export async function readMails(set: "test" | "training"): Promise<Mail[]> {
  const file = new URL(`fixtures/${set}-mails.json`, import.meta.url);
  return JSON.parse(await readFile(file, "utf8")) as Mail[];
}
