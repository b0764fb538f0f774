/** Text of a document, and its title. */
export interface Draft {
  readonly title: string;
  readonly text: string;
}

const maxTitle = 80;
/** Passages stay below this: a passage is what the encoder reads at once, and what an answer quotes from. */
const maxPassage = 400;

/** Reads an uploaded text: its first line is the title, with or without the `#` of Markdown. */
export function readDraft(text: string, fileName: string): Draft {
  const [first = "", ...rest] = text.trim().split("\n");
  const title = first
    .replace(/^#+\s*/, "")
    .trim()
    .slice(0, maxTitle);
  return rest.length === 0 ? { title: fileName, text: first } : { title, text: rest.join("\n").trim() };
}

/** Cuts a text into passages: paragraphs, long ones at the end of a sentence. */
export function cutPassages(text: string): string[] {
  return text
    .split(/\n\s*\n/)
    .map((paragraph) => paragraph.replace(/\s+/g, " ").trim())
    .filter((paragraph) => paragraph !== "")
    .flatMap(cutParagraph);
}

/** Splits a text into its sentences. */
export function splitSentences(text: string): string[] {
  return text.split(/(?<=[.!?])\s+/);
}

function cutParagraph(paragraph: string): string[] {
  const passages: string[] = [];
  let passage = "";
  for (const sentence of splitSentences(paragraph)) {
    if (passage !== "" && passage.length + sentence.length + 1 > maxPassage) {
      passages.push(passage);
      passage = "";
    }
    passage = passage === "" ? sentence : `${passage} ${sentence}`;
  }
  return passage === "" ? passages : [...passages, passage];
}
