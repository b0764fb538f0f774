/** Longest file name. File systems refuse longer ones, and clients refuse headers with them. */
const maxLength = 500;

/**
 * Makes a client's file name safe for authors: no folders, no control characters, at most 500 characters, ending kept.
 * Returns `"file"` when nothing is left.
 */
export function cleanFileName(name: string): string {
  const base = name
    .slice(Math.max(name.lastIndexOf("/"), name.lastIndexOf("\\")) + 1)
    .replace(/\p{Cc}/gu, "_")
    .replace(/\p{Cs}/gu, "\ufffd");
  if (base === "" || base === "." || base === "..") return "file";
  return base.length <= maxLength ? base : shorten(base);
}

function shorten(name: string): string {
  const ending = /\.[^.\s]{1,20}$/.exec(name)?.[0] ?? "";
  // Half of a surrogate pair is dropped.
  return name.slice(0, maxLength - ending.length).replace(/\p{Cs}$/u, "") + ending;
}

/**
 * Reads the file name of a `content-disposition` header of a request, a response or a part of a form.
 *
 * `filename*=` is exact (RFC 6266) and wins. `filename=` is UTF-8, else Latin-1; quotes in it may be written `\"` or,
 * as browsers do in forms, `%22`.
 *
 * @param header Header with one byte in each character, as Node gives it.
 * @returns `undefined` without a file name, `""` for an empty one. Pass it to `cleanFileName` before use.
 */
export function readFileName(header: string): string | undefined {
  const parameters = readParameters(header);
  const extended = parameters.get("filename*");
  const exact = extended === undefined ? undefined : decodeExtended(extended);
  return exact ?? parameters.get("filename");
}

const parameterForm = /;\s*([^\s=;]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;]*))/gs;

/** Reads the parameters of a `content-disposition` header by lower-case name; the first of each name wins. */
export function readParameters(header: string): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>();
  for (const [, name = "", quoted, bare = ""] of header.matchAll(parameterForm)) {
    const key = name.toLowerCase();
    if (parameters.has(key)) continue;
    const value = quoted ?? bare.trim().replace(/^"|"$/g, "");
    parameters.set(key, key.endsWith("*") ? value : decodePlain(value));
  }
  return parameters;
}

function decodePlain(value: string): string {
  // A backslash before another character is part of a path, as some browsers send it.
  const text = value
    .replace(/\\(["\\])/g, "$1")
    .replaceAll("%22", '"')
    .replace(/%0d/gi, "\r")
    .replace(/%0a/gi, "\n");
  if (!/[\x80-\xff]/.test(text) || /[^\0-\xff]/.test(text)) return text;
  return decodeBytes(toBytes(text), "utf-8") ?? text;
}

const fromHex = (hex: string) => String.fromCharCode(Number.parseInt(hex, 16));
const toBytes = (text: string) => Uint8Array.from(text, (sign) => sign.charCodeAt(0));

function decodeBytes(bytes: Uint8Array, charset: string): string | undefined {
  try {
    return new TextDecoder(charset, { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** Decodes RFC 8187: a charset, a language, and bytes, some of them written `%xx`. */
function decodeExtended(value: string): string | undefined {
  const [, charset = "", encoded] = /^([\w-]+)'[^']*'(.*)$/s.exec(value) ?? [];
  if (encoded === undefined || /%(?![\da-f]{2})/i.test(encoded)) return undefined;
  return decodeBytes(toBytes(encoded.replace(/%([\da-f]{2})/gi, (_, hex: string) => fromHex(hex))), charset);
}

/**
 * Formats the `content-disposition` header of a file, in ASCII: its exact name. For a name that is not ASCII a plain
 * one for old clients comes first.
 */
export function formatDisposition(name: string): string {
  const exact = cleanFileName(name);
  const ascii = exact.replace(/[^\x20-\x7e]|["\\%]/g, "_");
  if (ascii === exact) return `attachment; filename="${ascii}"`;
  const encoded = encodeURIComponent(exact).replace(/['()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16)}`);
  return `attachment; filename="${ascii}"; filename*=UTF-8''${encoded}`;
}
