import { isUtf8 } from "node:buffer";
import { fail } from "../failure/fail.js";

/**
 * The text of a body or of a part of one. A byte that the charset can't explain is an error, never a question mark.
 *
 * @param blame Which failure it is when the bytes are not of the charset.
 * @throws {ServingError} `invalid_header` for a charset nobody knows.
 */
export function decodeText(bytes: Uint8Array, charset: string, blame: "invalid_json" | "invalid_input"): string {
  if (charset !== "utf-8") return decodeCharset(bytes, charset, blame);
  const buffer = bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = buffer.toString();
  // Where a byte is wrong the decoder puts this sign; few bodies hold it, so few are read twice.
  if (text.includes("\ufffd") && !isUtf8(buffer)) throw refuse(charset, blame);
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
}

function decodeCharset(bytes: Uint8Array, charset: string, blame: "invalid_json" | "invalid_input"): string {
  let decoder: InstanceType<typeof TextDecoder>;
  try {
    decoder = new TextDecoder(charset, { fatal: true });
  } catch {
    throw fail("invalid_header", { header: "content-type", value: `charset=${charset}`, expected: "a known charset" });
  }
  try {
    return decoder.decode(bytes);
  } catch {
    throw refuse(charset, blame);
  }
}

function refuse(charset: string, blame: "invalid_json" | "invalid_input") {
  if (blame === "invalid_json") return fail("invalid_json", { problem: `it is not ${charset}` });
  return fail("invalid_input", { issues: [{ path: "", message: `the text is not ${charset}` }] });
}
