import { decodeBase64 } from "../base/base64.js";
import { cleanFileName } from "../base/file-name.js";
import { renameBlob } from "../held/held-blob.js";
import { createOwnSchema, type Json, type OwnSchema, ownTypeOf } from "./own-schema.js";

/** Options of `file()`. */
export interface FileOptions {
  /** Accepted media types, e.g. `"image/png"`, `"image/*"`, or a list of them. Default: any. */
  readonly contentType?: string | readonly string[];
  /** Largest size in bytes. Default: no limit but that of the whole body over HTTP (`http.maxBodyBytes`). */
  readonly maxBytes?: number;
}

/** A schema for files, with the options that ekiben itself reads. */
export interface FileSchema extends OwnSchema<Blob, File> {
  readonly file: { readonly contentTypes: readonly string[]; readonly maxBytes: number };
}

/**
 * A schema for an uploaded file, by itself or anywhere inside a schema of zod 4, valibot or arktype:
 * `z.array(file())`, `v.optional(file())`.
 *
 * Accepts a `Blob` or a `File` and returns a `File`. Over HTTP it is a part of a multipart body, or the whole body when
 * the api's input is the file itself. In JSON it is `{ name?, contentType, data }` with `data` in base64.
 */
export function file(options: FileOptions = {}): FileSchema {
  const contentTypes = options.contentType === undefined ? [] : [options.contentType].flat();
  const maxBytes = options.maxBytes ?? Number.POSITIVE_INFINITY;
  const read = (value: unknown) => {
    const given = readFile(value);
    return typeof given === "string" ? given : (fileProblem(given, contentTypes, maxBytes) ?? given);
  };
  const jsonSchema = () => fileJsonSchema(contentTypes);
  return createOwnSchema({ type: "file", read, jsonSchema }, { contentTypes, maxBytes }) as FileSchema;
}

/** True for a schema made by `file()`. */
export const isFileSchema = (schema: unknown): schema is FileSchema => ownTypeOf(schema) === "file";

/** True when media type `actual` is `pattern` or matches it (`image/*`). */
function matchesContentType(actual: string, pattern: string): boolean {
  const essence = actual.split(";", 1)[0]?.trim().toLowerCase() ?? "";
  if (pattern === "*/*" || pattern === essence) return true;
  return pattern.endsWith("/*") && essence.startsWith(pattern.slice(0, -1));
}

function readFile(value: unknown): File | string {
  if (value instanceof File) return value;
  if (value instanceof Blob) return renameBlob(value, "file", value.type);
  if (value === undefined) return "it is missing, expected a file";
  if (typeof value !== "object" || value === null)
    return `expected a file, got ${value === null ? "null" : typeof value}`;
  return fileFromJson(value) ?? "expected a file, or { contentType, data } with data in base64";
}

/** Makes a file of its JSON form, `{ name?, contentType?, data }`; `undefined` for any other object. */
export function fileFromJson(value: object): File | undefined {
  const { name, contentType, data } = value as { name?: unknown; contentType?: unknown; data?: unknown };
  const bytes = typeof data === "string" ? decodeBase64(data) : undefined;
  if (bytes === undefined) return undefined;
  const type = typeof contentType === "string" ? contentType : "application/octet-stream";
  return new File([bytes as Uint8Array<ArrayBuffer>], cleanFileName(typeof name === "string" ? name : ""), { type });
}

function fileProblem(value: File, contentTypes: readonly string[], maxBytes: number): string | undefined {
  if (contentTypes.length > 0 && !contentTypes.some((pattern) => matchesContentType(value.type, pattern))) {
    return `expected a file of type ${contentTypes.join(" or ")}, got ${value.type === "" ? "none" : value.type}`;
  }
  return value.size > maxBytes ? `the file has ${value.size} bytes, at most ${maxBytes} are taken` : undefined;
}

/** Returns the JSON Schema of a file's JSON form. */
export function fileJsonSchema(contentTypes: readonly string[] = []): Json {
  return {
    title: "file",
    type: "object",
    properties: {
      name: { type: "string" },
      contentType:
        contentTypes.length === 0 ? { type: "string" } : { type: "string", description: contentTypes.join(", ") },
      data: { type: "string", contentEncoding: "base64" },
    },
    required: ["contentType", "data"],
  };
}
