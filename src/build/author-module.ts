import { createHash } from "node:crypto";
import { maskComments } from "./mask-comments.js";

// Files of authors as they are bundled. Only a few words of a file are changed, so that its lines and columns stay:
//
// AM1  A file knows its place as before: `import.meta.url` and the like name a file in the folder `files` beside it in
//      a bundle. Each use has a name of its own, so that the bundle tells which of them are left in it.
// AM2  A class that runs elsewhere becomes a constant made of its contract. Its code gets a name that nothing uses, and
//      the bundler drops it.

/** Folder of the files that code finds by its own place. */
export const filesFolder = "files";

/** Start of the specifiers of modules that the bundler plugin makes. */
const placePrefix = "ekiben-place:";
export const calleePrefix = "ekiben-callee:";

/** Name that the code of a class gets when its contract takes its place. */
export const codeNameOf = (local: string): string => `${local}__code`;

/** Name under which a file exports a class for the entry of a bundle. */
export const exportNameOf = (local: string): string => `${local}__service`;

/** Value that code reads of its own place. */
type PlaceKind = "url" | "dirname" | "filename";

/** Module that gives a file its place for one use. */
interface PlaceModule {
  readonly kind: PlaceKind;
  /** Name of its export. */
  readonly name: string;
  readonly place: string;
}

/** Specifier of a module that gives a place. */
export const formatPlace = ({ kind, name, place }: PlaceModule): string => `${placePrefix}${kind}:${name}:${place}`;

/** Text of the module with such a specifier. */
export function writePlaceModule(specifier: string): string {
  const [kind = "", name = "", ...place] = specifier.slice(placePrefix.length).split(":");
  const read = { url: "url", filename: "fileURLToPath(url)", dirname: "folderOf(fileURLToPath(url))" }[kind];
  return `import { dirname as folderOf } from "node:path";
import { fileURLToPath } from "node:url";
const read = (url) => ${read};
export const ${name} = /* @__PURE__ */ read(/* @__PURE__ */ new URL(${JSON.stringify(`./${filesFolder}/${place.join(":")}`)}, import.meta.url)${kind === "url" ? ".href" : ""});`;
}

/** One use of the own place of a file. */
export interface PlaceUse {
  /** Name in the bundle; unique to this use. */
  readonly name: string;
  readonly line: number;
  /**
   * Files that the code finds from there, relative to its own folder: a path, a folder, or a pattern with `*`.
   * `undefined` when the code finds none by it, or none that can be told.
   */
  readonly asset?: string;
  /** Code that finds files that can't be told; absent when there is none. */
  readonly unknown?: string;
}

/** Import whose target can't be followed. */
export interface UnknownImport {
  readonly line: number;
  /** Code of the import, for a message. */
  readonly code: string;
}

/** Text of a file for the bundler, and everything that was found in it. */
export interface AuthorModule {
  readonly contents: string;
  readonly uses: readonly PlaceUse[];
  readonly unknownImports: readonly UnknownImport[];
  /** Specifiers that are imported only for the effects of their code. */
  readonly bareImports: ReadonlySet<string>;
}

/** Inputs of `prepareModule`. */
export interface ModuleWish {
  readonly text: string;
  /** Place of the file in the folder `files`: `"my-app/model.ts"`. */
  readonly place: string;
  /** Classes of the file that run elsewhere, with the names of their services. */
  readonly callees: readonly { readonly local: string; readonly service: string }[];
  /** Classes of the file that the entry of the bundle imports. */
  readonly exported: readonly string[];
}

/** Change of a text: `length` characters at `at` become `text`. */
interface Edit {
  readonly at: number;
  readonly length: number;
  readonly text: string;
}

/** Prepares a file of an author for the bundler. */
export function prepareModule({ text, place, callees, exported }: ModuleWish): AuthorModule {
  const code = maskComments(text);
  const isCommonJs = !/^\s*(import|export)\b/m.test(code) && /\b(require|module|exports)\b/.test(code);
  const { uses, edits, imports } = findPlaces(code, place);
  const lines: string[] = [];
  for (const { local, service } of callees) {
    const edit = stubEdit(code, local);
    if (edit === undefined) continue;
    edits.push(edit);
    lines.push(`import { callee as ${stubNameOf(local)} } from ${JSON.stringify(calleePrefix + service)};`);
  }
  // A class that nothing uses can be dropped only if the call that makes its base has no effect.
  for (const match of code.matchAll(/\bextends\s+(?=[\w$.]+\s*\()/g)) {
    edits.push({ at: match.index + match[0].length, length: 0, text: "/* @__PURE__ */ " });
  }
  for (const local of exported) lines.push(`export { ${local} as ${exportNameOf(local)} };`);
  for (const { kind, name } of imports) {
    // A module for each use, so that the bundler drops it with the code that uses it, and keeps its name.
    const specifier = JSON.stringify(formatPlace({ kind, name, place }));
    lines.push(isCommonJs ? `var { ${name} } = require(${specifier});` : `import { ${name} } from ${specifier};`);
  }
  const changed = applyEdits(text, edits);
  // CommonJS runs from the top; imports are hoisted and leave the lines of the file where they are.
  const contents = isCommonJs ? `${lines.join(" ")}${changed}` : `${changed}\n${lines.join("\n")}`;
  return { contents, uses, unknownImports: findUnknownImports(code), bareImports: findBareImports(code) };
}

const stubNameOf = (local: string): string => `${local}__callee`;

/** Finds where a file declares a class at its top level. @returns `undefined` for a file that does not. */
export function findDeclaration(code: string, local: string): RegExpExecArray | undefined {
  const name = local.replaceAll("$", "\\$");
  const forms = [
    `^(export\\s+)?(?:abstract\\s+)?class\\s+${name}(?![\\w$])`,
    `^export\\s+default\\s+(?:abstract\\s+)?class\\s+${local === "default" ? "(?=extends)" : `${name}(?![\\w$])`}`,
    `^(export\\s+)?(?:const|let|var)\\s+${name}(?![\\w$])[^=\\n]*=(?![=>])`,
  ];
  for (const form of forms) {
    const match = new RegExp(form, "m").exec(code);
    if (match !== null) return match;
  }
  return undefined;
}

/** Puts the contract of a class in its place (AM2). */
function stubEdit(code: string, local: string): Edit | undefined {
  const match = findDeclaration(code, local);
  if (match === undefined) return undefined;
  const [found, exported = ""] = match;
  const [stub, own] = [stubNameOf(local), codeNameOf(local)];
  const at = { at: match.index, length: found.length };
  if (/^export\s+default/.test(found)) {
    const declared = local === "default" ? "" : `const ${local} = ${stub}; `;
    return { ...at, text: `${declared}export default ${stub}; class ${own} ` };
  }
  const declared = `${exported}const ${local} = ${stub}; `;
  const isClass = /\bclass\s+\S+$/.test(found);
  return { ...at, text: isClass ? `${declared}class ${own}` : `${declared}const ${own} = /* @__PURE__ */ ` };
}

interface Places {
  readonly uses: PlaceUse[];
  readonly edits: Edit[];
  readonly imports: { readonly kind: PlaceKind; readonly name: string }[];
}

const placeWords = /\bimport\.meta\.(url|dirname|filename)\b|(?<![\w$.])__(dirname|filename)(?![\w$])/g;

const literal = `"[^"\\n]*"|'[^'\\n]*'`;
const folderWord = "(?:import\\.meta\\.dirname|__dirname)";

/** Uses of a place that name files. Each has the place at the position of its group `place`. */
const assetForms: readonly RegExp[] = [
  new RegExp(
    `\\bnew\\s+URL\\(\\s*(?<path>${literal}|\`[^\`]*\`|[^,()"'\`]+)\\s*,\\s*(?<place>import\\.meta\\.url)`,
    "dg",
  ),
  new RegExp(
    `\\b(?:join|resolve)\\(\\s*(?<place>${folderWord})(?<list>(?:\\s*,\\s*(?:${literal}))*)\\s*(?<more>,|\\))`,
    "dg",
  ),
  new RegExp(`\\$\\{\\s*(?<place>${folderWord})\\s*\\}(?<rest>[^\`]*)\``, "dg"),
  new RegExp(`(?<place>${folderWord})\\s*\\+\\s*(?<path>${literal}|[^"'\\s])`, "dg"),
];

/** Finds every use of the own place of a file, and the files that it names (AM1). */
function findPlaces(code: string, place: string): Places {
  const places: Places = { uses: [], edits: [], imports: [] };
  const named = new Map<number, Pick<PlaceUse, "asset" | "unknown">>();
  for (const form of assetForms) {
    for (const match of code.matchAll(form)) {
      const [at] = match.indices?.groups?.["place"] ?? [];
      if (at !== undefined && !named.has(at)) named.set(at, readAsset(match));
      if (match[0].startsWith("new")) places.edits.push({ at: match.index, length: 0, text: "/* @__PURE__ */ " });
    }
  }
  for (const match of code.matchAll(/\bcreateRequire\(\s*import\.meta\.url\s*\)/g)) {
    places.edits.push({ at: match.index, length: 0, text: "/* @__PURE__ */ " });
  }
  // A file that declares these names itself makes them of `import.meta.url`.
  const declared = new Set(
    [...code.matchAll(/\b(?:const|let|var)\s+(__dirname|__filename)\b/g)].map(([, name]) => name),
  );
  const key = createHash("sha256").update(place).digest("hex").slice(0, 8);
  for (const match of code.matchAll(placeWords)) {
    const [word, meta, old] = match;
    const kind = (meta ?? old) as PlaceKind;
    const name = `place_${key}_${places.uses.length}`;
    const line = lineAt(code, match.index);
    const isOwn = old !== undefined && declared.has(word);
    places.uses.push({ name: isOwn ? "" : name, line, ...named.get(match.index) });
    if (isOwn) continue;
    places.imports.push({ kind, name });
    places.edits.push({ at: match.index, length: word.length, text: name });
  }
  return places;
}

/** Reads which files a use names. */
function readAsset({ groups = {}, 0: code }: RegExpExecArray): Pick<PlaceUse, "asset" | "unknown"> {
  const { path, list, more, rest } = groups;
  const unknown = { unknown: code.replace(/\s+/g, " ").trim().slice(0, 80) };
  if (list !== undefined) {
    const parts = [...list.matchAll(/["']([^"']*)["']/g)].map(([, part]) => part);
    if (parts.length === 0) return more === ")" ? {} : unknown;
    // What follows is computed: any file of the folder may be meant.
    return known(`${parts.join("/")}${more === ")" ? "" : "/"}`);
  }
  if (rest !== undefined) return known(patternOf(rest));
  if (path === undefined || !/^["'`]/.test(path)) return unknown;
  return known(patternOf(path.slice(1, -1)));
}

/** Files that are made while the app runs do not come along: those in a folder whose name begins with a dot. */
function known(path: string): Pick<PlaceUse, "asset" | "unknown"> {
  const asset = path.replace(/^\/+/, "");
  if (/(^|\/)\.[^./]/.test(asset)) return {};
  return /^(\.{0,2}\/?)*$/.test(asset) ? { unknown: path === "" ? "its own folder" : JSON.stringify(path) } : { asset };
}

const patternOf = (template: string): string => template.replace(/\$\{[^}]*\}/g, "*").replace(/\?.*$/, "");

/** Finds imports of a computed name. A constant of the file, such as `const name = "node:sqlite"`, is no such name. */
function findUnknownImports(code: string): UnknownImport[] {
  const found: UnknownImport[] = [];
  for (const match of code.matchAll(/(?<![\w$.])(import|require)\(\s*([^"'\s)][^)]*)\)/g)) {
    const [whole, , argument = ""] = match;
    if (argument.startsWith("`") && (/^`\.{1,2}\//.test(argument) || !argument.includes("${"))) continue;
    const name = argument.trim();
    if (/^[\w$]+$/.test(name)) {
      const constant = new RegExp(`\\bconst\\s+${name.replaceAll("$", "\\$")}\\b[^=\\n]*=\\s*["']`);
      if (constant.test(code)) continue;
    }
    found.push({ line: lineAt(code, match.index), code: whole.replace(/\s+/g, " ").slice(0, 80) });
  }
  return found;
}

const findBareImports = (code: string): Set<string> =>
  new Set([...code.matchAll(/^\s*import\s+["']([^"']+)["']/gm)].map(([, specifier = ""]) => specifier));

const lineAt = (text: string, index: number): number => text.slice(0, index).split("\n").length;

function applyEdits(text: string, edits: readonly Edit[]): string {
  const sorted = [...edits].sort((a, b) => a.at - b.at || a.length - b.length);
  let [result, from] = ["", 0];
  for (const { at, length, text: inserted } of sorted) {
    // Inside another change, such as the class in `const Model = class extends Service()`.
    if (at < from) continue;
    result += text.slice(from, at) + inserted;
    from = at + length;
  }
  return result + text.slice(from);
}
