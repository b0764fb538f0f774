import { nextTurn, PacedWork } from "../base/clock.js";
import { isFields } from "../define/revive-input.js";
import { fail } from "../failure/failures.js";
import type { FileStore } from "../held/file-store.js";
import { createHeldFile } from "../held/held-blob.js";
import { HeldFile } from "../held/held-file.js";
import type { JsonLimits } from "./check-json.js";
import type { HttpState } from "./http-state.js";
import {
  type FieldForm,
  type InnerPart,
  type InputForm,
  type RefusedFields,
  readPartPath,
  unknownField,
} from "./input-form.js";
import { decodeText, isJsonType, isNpyType, parseMediaType } from "./media-type.js";
import { decodeNpy } from "./npy.js";
import { parseJsonInTurns } from "./parse-json.js";
import { type Part, type PartHead, splitHeldParts, splitParts } from "./split-parts.js";

/**
 * Reads a multipart body into the fields of an api's input. A field that takes a file gets one, whatever the part's
 * type. A text stays as it was typed, unless its field takes no text or the part says that it is JSON.
 *
 * A name that appears more than once becomes a list, and a name such as `pages[0].image` a value inside its field. An
 * api whose whole input is one file gets the only file of the body, and one that takes a list of files all of them.
 *
 * @throws {ServingError} `invalid_multipart`, `forbidden_key`, `invalid_npy`, and the failures of `parseJson`.
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
  if (input.kind === "files") return parts.filter(isFilePart).map(createFile);
  const [only] = parts;
  if (input.takesFile && only !== undefined && parts.length === 1 && isFilePart(only) && !input.fields.has(only.name))
    return createFile(only);
  const limits = { ...http.settings, read: { values: 0 } };
  const settled: Record<string, unknown> = {};
  const unsure = new Map<string, readonly unknown[]>();
  const inner = new Map<string, InnerPart>();
  const byName = groupByName(parts, input);
  const work = new PacedWork(turnMs);
  for (const name of byName.keys()) {
    if (work.isRestDue) await work.rest();
    const path = readPartPath(input, name);
    if (path !== undefined) inner.set(name, path);
  }
  const begun = new Set([...inner.values()].map(({ steps }) => steps[0]));
  for (const [name, named] of byName) {
    if (inner.has(name)) continue;
    const form = begun.has(name) ? begunField : (input.fields.get(name) ?? unknownField);
    if (form.kind === "unsure") {
      const values = await inTurn(named, (part) => valuesOfUnsure(part, limits));
      unsure.set(name, joinUnsure(values, form));
    } else {
      settled[name] = await readField(named, form, limits);
    }
  }
  for (const [name, { steps, form }] of inner) {
    // Levels that the path makes around its value. The fields of a form are no level.
    const maxBodyDepth = limits.maxBodyDepth - (steps.length - 1);
    if (maxBodyDepth < 0) throw fail("body_too_deep", { maxBodyDepth: limits.maxBodyDepth });
    placeValue(settled, steps, await readField(byName.get(name) as Part[], form, { ...limits, maxBodyDepth }));
  }
  return unsure.size === 0 ? settled : await settleFields(settled, unsure, input.refused);
}

/** Milliseconds after which the event loop gets a turn. */
const turnMs = 4;

/** Reads the parts of one field whose kind is certain, or that is inside another field. */
async function readField(parts: readonly Part[], form: FieldForm, limits: JsonLimits): Promise<unknown> {
  const values = await inTurn(parts, (part) => {
    return readPart(part, form.kind === "unsure" ? { ...form, kind: looseKind(part) } : form, limits);
  });
  return values.length === 1 && !(form.isList && !Array.isArray(values[0])) ? values[0] : values;
}

/** A field that further parts reach into: only JSON has an inside. */
const begunField: FieldForm = { kind: "json", isList: false };

/** Kind of a part inside a field whose schema does not say it. */
const looseKind = (part: Part): FieldForm["kind"] =>
  isFilePart(part) ? "file" : isNpyType(parseMediaType(part.contentType).essence) ? "tensor" : "text";

/** Puts a value into its field, below lists and objects that are there or are made for it. */
function placeValue(fields: Record<string, unknown>, steps: readonly (string | number)[], value: unknown): void {
  const placeOf = (depth: number): string =>
    steps.slice(0, depth).reduce<string>((path, step) => joinStep(path, step), "");
  let at: unknown = fields;
  steps.forEach((step, depth) => {
    const isPlace = typeof step === "number" ? Array.isArray(at) : isFields(at);
    if (!isPlace) throw refuseForm(`part ${placeOf(depth + 1)} is inside ${placeOf(depth)}, which is something else`);
    if (step === "__proto__") throw fail("forbidden_key", { key: step });
    const target = at as Record<string | number, unknown>;
    if (typeof step === "number" && step > (at as unknown[]).length) {
      // A gap would cost memory without a byte of body for it.
      const count = (at as unknown[]).length;
      throw refuseForm(`part ${placeOf(depth + 1)} comes after ${count} items; send them in order`);
    }
    const next = steps[depth + 1];
    if (next === undefined) target[step] = value;
    else if (!Object.hasOwn(target, step) || target[step] === null) target[step] = typeof next === "number" ? [] : {};
    at = target[step];
  });
}

const joinStep = (path: string, step: string | number): string =>
  typeof step === "number" ? `${path}[${step}]` : path === "" ? step : `${path}.${step}`;

const refuseForm = (problem: string) => fail("invalid_multipart", { problem });

/** Returns the name of a list's field for a part that names it as PHP does, `files[]`. */
const listName = (name: string, { fields }: InputForm): string => {
  const plain = name.endsWith("[]") ? name.slice(0, -2) : name;
  return fields.get(plain)?.isList ? plain : name;
};

/** Reads parts one after the other, so that their common bounds hold. */
async function inTurn<T>(parts: readonly Part[], read: (part: Part) => Promise<T>): Promise<T[]> {
  const values: T[] = [];
  for (const part of parts) values.push(await read(part));
  return values;
}

function groupByName(parts: readonly Part[], input: InputForm): ReadonlyMap<string, Part[]> {
  const named = new Map<string, Part[]>();
  for (const part of parts) {
    if (part.name === "__proto__") throw fail("forbidden_key", { key: part.name });
    const name = listName(part.name, input);
    const others = named.get(name);
    if (others === undefined) named.set(name, [part]);
    else others.push(part);
  }
  return named;
}

/** True when a part can be nothing but a file. */
function isFileAlone(part: PartHead, input: InputForm): boolean {
  if (!isFilePart(part)) return false;
  const form = input.fields.get(listName(part.name, input)) ?? readPartPath(input, part.name)?.form;
  return input.kind === "file" || input.kind === "files" || form?.kind === "file";
}

function readOnlyFile(parts: readonly Part[]): File {
  const [first, second] = parts.filter(isFilePart);
  if (first !== undefined && second === undefined) return createFile(first);
  throw refuseForm(first === undefined ? "it has no file" : "it has more than one file, and this api takes one");
}

const isFilePart = ({ fileName, contentType }: PartHead): boolean =>
  fileName !== undefined || isBytes(parseMediaType(contentType).essence);

/** Returns the value of a part whose field's kind is certain. */
async function readPart(part: Part, { kind }: FieldForm, limits: JsonLimits): Promise<unknown> {
  const { essence } = parseMediaType(part.contentType);
  const isFile = isFilePart(part);
  if (kind === "file" && isFile) return createFile(part);
  if (kind === "bytes" && isFile) return new Uint8Array(part.bytes);
  if (isNpyType(essence) || (kind === "tensor" && isNamedNpy(part.fileName))) return readNpyPart(part);
  if (isJsonType(essence)) return readJsonPart(part, limits);
  if (kind === "text" || kind === "bytes") return isFile && !isText(essence) ? createFile(part) : decodePart(part);
  if (!isFile) return readLooseField(decodePart(part), limits);
  // A field that takes neither files nor texts may get its JSON as a file.
  const [value] = await asJson(part, limits);
  return value === undefined ? createFile(part) : value;
}

/** Returns the values that a part may mean when its field's kind is not certain, the most exact first. */
async function valuesOfUnsure(part: Part, limits: JsonLimits): Promise<readonly unknown[]> {
  const { fileName } = part;
  const { essence } = parseMediaType(part.contentType);
  if (isJsonType(essence)) {
    if (fileName === undefined) return [await readJsonPart(part, limits)];
    // A page can set the type of a part only by sending a Blob, which gets this file name.
    if (fileName === "blob") return [await readJsonPart(part, limits), createFile(part)];
    return [createFile(part), ...(await asJson(part, limits))];
  }
  if (isNpyType(essence) || isNamedNpy(fileName)) {
    const read = decodeNpy(part.bytes);
    return [createFile(part), ...(typeof read === "string" ? [] : [read])];
  }
  if (isFilePart(part) && !isText(essence)) return [createFile(part), ...(await asJson(part, limits))];
  // A JSON string is not an option: the quotes belong to the text.
  const read = (await asJson(part, limits)).filter((value) => typeof value !== "string");
  return [...(isFilePart(part) ? [createFile(part)] : []), decodePart(part), ...read];
}

/** True for types of bytes that only a file can hold. */
const isBytes = (essence: string): boolean =>
  essence !== "" && !isText(essence) && !isJsonType(essence) && !isNpyType(essence);
const isText = (essence: string): boolean => essence.startsWith("text/") && !isJsonType(essence);

async function readJsonPart(part: Part, limits: JsonLimits): Promise<unknown> {
  const text = decodePart(part);
  const value = await readLooseField(text, limits);
  if (value === text) throw fail("invalid_multipart", { problem: `part ${part.name} says it is JSON and is not` });
  return value;
}

/** Returns the text as JSON if it is JSON, else as it is. */
async function readLooseField(text: string, limits: JsonLimits): Promise<unknown> {
  try {
    return await parseJsonInTurns(text, limits);
  } catch (error) {
    if ((error as { id?: unknown }).id === "invalid_json") return text;
    throw error;
  }
}

/** Returns the JSON of a part in a list; an empty list when it is not readable JSON. */
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

/** Returns the values that a field with several parts may mean. */
function joinUnsure(values: readonly (readonly unknown[])[], { isList }: FieldForm): readonly unknown[] {
  const most = Math.max(...values.map((options) => options.length));
  const lists = Array.from({ length: most }, (_, at) =>
    values.map((options) => options[Math.min(at, options.length - 1)]),
  );
  if (values.length > 1) return lists;
  const single = lists.map(([value]) => value);
  return isList ? [...lists, ...single] : [...single, ...lists];
}

/** Most questions to a schema about one form. No form filled in by hand needs more. */
const mostAsked = 40;

/**
 * Decides the values of a form's fields where the schema does not say them beforehand. Takes the first possible value
 * that the schema accepts; the very first when it accepts none. A text that is refused stays a text when its field
 * takes other texts.
 *
 * @param settled Fields whose value is certain.
 * @param unsure Possible values by field name, the most exact first.
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

/**
 * Asks at most `mostAsked` times; later questions find nothing refused. The event loop gets a turn between questions.
 */
function askInTurns(schema: RefusedFields): RefusedFields {
  let asked = 0;
  return async (input) => {
    asked++;
    if (asked > mostAsked) return new Set();
    if (asked > 2) await nextTurn();
    return schema(input);
  };
}

/** True when a field whose text was refused takes other texts. Its part may not be read as anything else then. */
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
