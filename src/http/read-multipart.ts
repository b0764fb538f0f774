import { Busboy, type BusboyFileStream, type BusboyInstance } from "@fastify/busboy";
import { fail } from "../failure/fail.js";
import { decodeText } from "./decode-text.js";
import type { Edge } from "./edge.js";
import type { FieldForm, InputForm } from "./input-form.js";
import type { JsonLimits } from "./json-limits.js";
import { isJsonType, isNpyType, parseMediaType } from "./media-type.js";
import { decodeNpy } from "./npy.js";
import { parseJson } from "./parse-json.js";

/** One part of a multipart body. */
interface Part {
  readonly name: string;
  /** `undefined` for a part that is no file. */
  readonly fileName: string | undefined;
  readonly contentType: string;
  readonly bytes: Uint8Array;
}

const maxParts = 1000;

/**
 * Reads a multipart body into the fields of an api's input: files as files, other parts as JSON, else as text.
 *
 * A name that comes more than once becomes a list. An api whose whole input is one file gets the only file there is.
 *
 * @throws {ServingError} `invalid_multipart`, `forbidden_key`, `invalid_npy`, `body_too_deep`.
 */
export async function readMultipart(edge: Edge, input: InputForm, body: Uint8Array, header: string): Promise<unknown> {
  const parts = await splitParts(body, header);
  if (input.kind === "file") return readOnlyFile(parts);
  const fields = new Map<string, unknown[]>();
  for (const part of parts) {
    if (part.name === "__proto__") throw fail("forbidden_key", { key: part.name });
    const value = readPart(part, input.fields.get(part.name), edge.settings);
    const values = fields.get(part.name);
    if (values === undefined) fields.set(part.name, [value]);
    else values.push(value);
  }
  return Object.fromEntries([...fields].map(([name, values]) => [name, joinValues(values, input.fields.get(name))]));
}

function splitParts(body: Uint8Array, header: string): Promise<Part[]> {
  return new Promise((resolve, reject) => {
    let isOver = false;
    const refuse = (problem: string) => {
      isOver = true;
      reject(fail("invalid_multipart", { problem }));
    };
    const parts: Part[] = [];
    let parser: BusboyInstance;
    try {
      // Every part is read as bytes; which of them are files is decided by what they say and by the contract.
      parser = new Busboy({
        headers: { "content-type": header },
        limits: { parts: maxParts, fieldNameSize: 1000 },
        isPartAFile: () => true,
      });
    } catch (error) {
      refuse((error as Error).message);
      return;
    }
    parser.on("file", (name: string | undefined, stream, fileName: string | undefined, _encoding, contentType) => {
      collect(stream, (bytes) => {
        if (name === undefined) refuse("a part has no name");
        else parts.push({ name, fileName, contentType, bytes });
      });
    });
    parser.on("partsLimit", () => refuse(`it has more than ${maxParts} parts`));
    parser.on("error", (error) => refuse((error as Error).message));
    parser.on("finish", () => resolve(parts));
    const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    if (bytes.length <= sliceBytes) parser.end(bytes);
    else feed(parser, bytes, () => isOver);
  });
}

/** Some milliseconds of the parser's time, where every part is empty. */
const sliceBytes = 32_768;

/** In slices, between which others have a turn; nothing more once the body is refused, whatever else it holds. */
function feed(parser: BusboyInstance, bytes: Buffer, isOver: () => boolean): void {
  let at = 0;
  const next = () => {
    if (isOver()) return;
    const slice = bytes.subarray(at, at + sliceBytes);
    at += sliceBytes;
    if (at >= bytes.length) parser.end(slice);
    else parser.write(slice, () => void setImmediate(next));
  };
  next();
}

function collect(stream: BusboyFileStream, done: (bytes: Uint8Array) => void): void {
  const chunks: Uint8Array[] = [];
  stream.on("data", (chunk: Uint8Array) => chunks.push(chunk));
  // A part that is cut off also fails the whole body, which says so.
  stream.on("error", () => {});
  stream.on("end", () => done(Buffer.concat(chunks)));
}

function readOnlyFile(parts: readonly Part[]): File {
  const [first, second] = parts.filter((part) => part.fileName !== undefined);
  if (first !== undefined && second === undefined) return createFile(first);
  const problem = first === undefined ? "it has no file" : "it has more than one file, and this api takes one";
  throw fail("invalid_multipart", { problem });
}

function readPart(part: Part, form: FieldForm | undefined, limits: JsonLimits): unknown {
  const { essence, charset } = parseMediaType(part.contentType);
  const isFile = part.fileName !== undefined || essence === "application/octet-stream";
  if (form?.kind === "file" && isFile) return createFile(part);
  if (isNpyType(essence) || (form?.kind === "tensor" && isNamedNpy(part.fileName))) return readNpyPart(part);
  if (isJsonType(essence)) return readJsonPart(part, charset, limits);
  if (isFile && !(form?.kind === "text" && essence === "text/plain")) return createFile(part);
  const text = decodePart(part, charset);
  return form?.kind === "text" ? readTextField(text) : readLooseField(text, limits);
}

/** Clients that write every field as JSON put quotes around a text; others send it bare. */
function readTextField(text: string): string {
  if (!text.startsWith('"') || !text.endsWith('"')) return text;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "string" ? value : text;
  } catch {
    return text;
  }
}

function readJsonPart(part: Part, charset: string, limits: JsonLimits): unknown {
  const text = decodePart(part, charset);
  const value = readLooseField(text, limits);
  if (value === text) throw fail("invalid_multipart", { problem: `part ${part.name} says it is JSON and is not` });
  return value;
}

/** JSON if it is, else the text as it stands. */
function readLooseField(text: string, limits: JsonLimits): unknown {
  try {
    return parseJson(text, limits);
  } catch (error) {
    if ((error as { id?: unknown }).id === "invalid_json") return text;
    throw error;
  }
}

function decodePart(part: Part, charset: string): string {
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

function createFile({ bytes, fileName, contentType }: Part): File {
  return new File([bytes as Uint8Array<ArrayBuffer>], fileName ?? "file", { type: contentType });
}

function joinValues(values: readonly unknown[], form: FieldForm | undefined): unknown {
  if (values.length > 1) return values;
  const [value] = values;
  return form?.isList && !Array.isArray(value) ? [value] : value;
}
