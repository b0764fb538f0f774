import { formatDefault } from "../../src/options/option.js";
import { options } from "../../src/options/options.js";

const maxColumns = 120;

/**
 * Adds a doc block to the field of each option: its text and its default. Editors show it where authors set the option.
 *
 * @param declarations What the compiler made of src/options/options.ts.
 */
export function addOptionComments(declarations: string): string {
  let group = "";
  const lines = declarations.split("\n").flatMap((line) => {
    group = /^ {4}(\w+): \{$/.exec(line)?.[1] ?? group;
    const [, indent = "", field] = /^( {4}| {8})(\w+): import\(/.exec(line) ?? [];
    const option = options.get(indent.length === 8 ? `${group}.${field}` : `${field}`);
    if (option === undefined) return [line];
    return [...formatDocBlock(`${option.text} Default: ${formatDefault(option)}.`, indent), line];
  });
  return lines.join("\n");
}

function formatDocBlock(text: string, indent: string): string[] {
  const lines = [`${indent} *`];
  for (const word of text.split(" ")) {
    const longer = `${lines.at(-1)} ${word}`;
    if (longer.length <= maxColumns) lines[lines.length - 1] = longer;
    else lines.push(`${indent} * ${word}`);
  }
  return [`${indent}/**`, ...lines, `${indent} */`];
}
