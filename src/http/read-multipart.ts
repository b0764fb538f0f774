import { nextTurn } from "../base/clock.js";
import { fail } from "../failure/failures.js";
import type { FileStore } from "../held/file-store.js";
import { createHeldFile } from "../held/held-blob.js";
import { HeldFile } from "../held/held-file.js";
import type { JsonLimits } from "./check-json.js";
import type { HttpState } from "./http-state.js";
import { type FieldForm, type InputForm, type RefusedFields, unknownField } from "./input-form.js";
import { decodeText, isJsonType, isNpyType, parseMediaType } from "./media-type.js";
import { decodeNpy } from "./npy.js";
import { parseJsonInTurns } from "./parse-json.js";
import { type Part, type PartHead, splitHeldParts, splitParts } from "./split-parts.js";

/**
 * Reads a multipart body into the fields of an api's input. A field that takes a file gets one, whatever its type; a text is
 * what was typed, unless its field takes no text, or the part says that it is JSON.
 *
 * A name that comes more than once becomes a list. An api whose whole input is one file gets the only file there is.
 *
 * @throws {ServingError} `invalid_multipart`, `forbidden_key`, `invalid_npy`, and what `parseJson` throws.
 */
export async function readMultipart(
  http: HttpState,
  input: InputForm,
  body: Uint8Array | HeldFile,
  header: string,
): Promise<unknown> {
  const parts =
    body instanceof HeldFile
      ? await splitHeldParts(body, header, {
          files: http.files as FileStore,
          staysHeld: (part) => isFileAlone(part, input),
        })
      : splitParts(body, header);
  if (input.kind === "file") return readOnlyFile(parts);
  const limits = { ...http.settings, read: { values: 0 } };
  const settled: Record<string, unknown> = {};
  const unsure = new Map<string, readonly unknown[]>();
  for (const [name, named] of groupByName(parts)) {
    const form = input.fields.get(name) ?? unknownField;
    if (form.kind === "unsure") {
      const values = await inTurn(named, (part) => valuesOfUnsure(part, limits));
      unsure.set(name, joinUnsure(values, form));
    } else {
      const values = await inTurn(named, (part) => readPart(part, form, limits));
      settled[name] = values.length === 1 && !(form.isList && !Array.isArray(values[0])) ? values[0] : values;
    }
  }
  return unsure.size === 0 ? settled : await settleFields(settled, unsure, input.refused);
}

/** One after the other: what is read in turns is then read within its bounds. */
async function inTurn<T>(parts: readonly Part[], read: (part: Part) => Promise<T>): Promise<T[]> {
  const values: T[] = [];
  for (const part of parts) values.push(await read(part));
  return values;
}

function groupByName(parts: readonly Part[]): ReadonlyMap<string, Part[]> {
  const named = new Map<string, Part[]>();
  for (const part of parts) {
    if (part.name === "__proto__") throw fail("forbidden_key", { key: part.name });
    const others = named.get(part.name);
    if (others === undefined) named.set(part.name, [part]);
    else others.push(part);
  }
  return named;
}

/** Whether a part can be nothing but a file. */
const isFileAlone = (part: PartHead, input: InputForm): boolean =>
  isFilePart(part) && (input.kind === "file" || input.fields.get(part.name)?.kind === "file");

function readOnlyFile(parts: readonly Part[]): File {
  const [first, second] = parts.filter(isFilePart);
  if (first !== undefined && second === undefined) return createFile(first);
  const problem = first === undefined ? "it has no file" : "it has more than one file, and this api takes one";
  throw fail("invalid_multipart", { problem });
}

const isFilePart = ({ fileName, contentType }: PartHead): boolean =>
  fileName !== undefined || isBytes(parseMediaType(contentType).essence);

/** What a part is, for a field that is sure. */
async function readPart(part: Part, { kind }: FieldForm, limits: JsonLimits): Promise<unknown> {
  const { essence } = parseMediaType(part.contentType);
  const isFile = isFilePart(part);
  if (kind === "file" && isFile) return createFile(part);
  if (isNpyType(essence) || (kind === "tensor" && isNamedNpy(part.fileName))) return readNpyPart(part);
  if (isJsonType(essence)) return readJsonPart(part, limits);
  if (kind === "text") return isFile && !isText(essence) ? createFile(part) : decodePart(part);
  if (!isFile) return readLooseField(decodePart(part), limits);
  // Of a field that takes neither files nor texts, a file may hold the JSON it takes.
  const [value] = await asJson(part, limits);
  return value === undefined ? createFile(part) : value;
}

/** What a part may be where its field is not sure, the most exact first. */
async function valuesOfUnsure(part: Part, limits: JsonLimits): Promise<readonly unknown[]> {
  const { fileName } = part;
  const { essence } = parseMediaType(part.contentType);
  if (isJsonType(essence)) {
    if (fileName === undefined) return [await readJsonPart(part, limits)];
    // A page can give a part its type only as a file, which is then named so.
    if (fileName === "blob") return [await readJsonPart(part, limits), createFile(part)];
    return [createFile(part), ...(await asJson(part, limits))];
  }
  if (isNpyType(essence) || isNamedNpy(fileName)) {
    const read = decodeNpy(part.bytes);
    return [createFile(part), ...(typeof read === "string" ? [] : [read])];
  }
  if (isFilePart(part) && !isText(essence)) return [createFile(part), ...(await asJson(part, limits))];
  // Whatever a text may mean, one in quotes is not the one without.
  const read = (await asJson(part, limits)).filter((value) => typeof value !== "string");
  return [...(isFilePart(part) ? [createFile(part)] : []), decodePart(part), ...read];
}

/** Whether a type is of bytes that only a file can be. */
const isBytes = (essence: string): boolean =>
  essence !== "" && !isText(essence) && !isJsonType(essence) && !isNpyType(essence);
const isText = (essence: string): boolean => essence.startsWith("text/") && !isJsonType(essence);

async function readJsonPart(part: Part, limits: JsonLimits): Promise<unknown> {
  const text = decodePart(part);
  const value = await readLooseField(text, limits);
  if (value === text) throw fail("invalid_multipart", { problem: `part ${part.name} says it is JSON and is not` });
  return value;
}

/** JSON if it is, else the text as it stands. */
async function readLooseField(text: string, limits: JsonLimits): Promise<unknown> {
  try {
    return await parseJsonInTurns(text, limits);
  } catch (error) {
    if ((error as { id?: unknown }).id === "invalid_json") return text;
    throw error;
  }
}

/** The JSON of a part, where it is some and may be read. */
async function asJson(part: Part, limits: JsonLimits): Promise<readonly unknown[]> {
  try {
    return [await parseJsonInTurns(decodePart(part), limits)];
  } catch {
    return [];
  }
}

function decodePart(part: Part): string {
  const { charset } = parseMediaType(part.contentType);
  try {
    return decodeText(part.bytes, charset, "invalid_input");
  } catch {
    throw fail("invalid_input", { issues: [{ path: part.name, message: `the part is not ${charset} text` }] });
  }
}

function readNpyPart(part: Part): unknown {
  const read = decodeNpy(part.bytes);
  if (typeof read === "string") throw fail("invalid_npy", { problem: `part ${part.name}: ${read}` });
  return read;
}

const isNamedNpy = (fileName: string | undefined): boolean => fileName?.endsWith(".npy") ?? false;

function createFile({ bytes, held, fileName = "file", contentType }: Part): File {
  const options = { type: contentType === "" ? "application/octet-stream" : contentType };
  if (held !== undefined) return createHeldFile(held, fileName, options);
  return new File([bytes as Uint8Array<ArrayBuffer>], fileName, options);
}

/** What a field may be as a whole. */
function joinUnsure(values: readonly (readonly unknown[])[], { isList }: FieldForm): readonly unknown[] {
  const most = Math.max(...values.map((options) => options.length));
  const lists = Array.from({ length: most }, (_, at) =>
    values.map((options) => options[Math.min(at, options.length - 1)]),
  );
  if (values.length > 1) return lists;
  const single = lists.map(([value]) => value);
  return isList ? [...lists, ...single] : [...single, ...lists];
}

/** How often a schema is asked about one form at most: no form that is filled in by hand is as unsure. */
const mostAsked = 40;

/**
 * Decides what the parts of a form are, where the schema does not say so beforehand: of the values that each may be, the first
 * that the schema takes; the very first where it takes none. A text that is refused is nothing else where other texts are taken.
 *
 * @param settled Fields that are sure.
 * @param unsure  By name, the values a field may be, the most exact first.
 */
async function settleFields(
  settled: Readonly<Record<string, unknown>>,
  unsure: ReadonlyMap<string, readonly unknown[]>,
  schema: RefusedFields,
): Promise<Record<string, unknown>> {
  const refused = askInTurns(schema);
  const chosen: Record<string, unknown> = { ...settled };
  for (const [name, [first]] of unsure) chosen[name] = first;
  const open = new Map([...unsure].filter(([, values]) => values.length > 1));
  for (let at = 0; open.size > 0; at++) {
    const tried = { ...chosen };
    for (const [name, values] of open) tried[name] = values[at];
    const names = await refused(tried);
    for (const [name, values] of open) {
      const isRefused = names === "all" || names.has(name);
      if (!isRefused) chosen[name] = values[at];
      const isLast = at + 1 === values.length;
      if (!isRefused || isLast || (await takesOtherText(tried, name, refused))) open.delete(name);
    }
  }
  return chosen;
}

/** Asks at most `mostAsked` times, after which nothing is refused any more; others have a turn between. */
function askInTurns(schema: RefusedFields): RefusedFields {
  let asked = 0;
  return async (input) => {
    asked++;
    if (asked > mostAsked) return new Set();
    if (asked > 2) await nextTurn();
    return schema(input);
  };
}

/** Whether a field whose text was refused takes other texts: then it may not be read as anything else. */
async function takesOtherText(input: Readonly<Record<string, unknown>>, name: string, refused: RefusedFields) {
  const value = input[name];
  const isList = Array.isArray(value);
  if (![value].flat().every((item) => typeof item === "string")) return false;
  for (const text of ["1", "true"]) {
    const names = await refused({ ...input, [name]: isList ? [text] : text });
    if (names !== "all" && !names.has(name)) return true;
  }
  return false;
}
