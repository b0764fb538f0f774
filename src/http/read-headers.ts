import { fail } from "../failure/fail.js";

type Headers = Readonly<Record<string, string>>;

/**
 * The headers of a request as its api and the services below see them: whatever hooks have made of those that came, as
 * texts under names in lower case, in an object that nobody else has.
 *
 * A header that came, or was set, more than once is one text, its values parted by commas.
 *
 * @throws {ServingError} `header_not_text` for what a hook set that no header can be.
 */
export function readHeaders(given: Readonly<Record<string, unknown>>): Headers {
  const headers: Record<string, string> = {};
  for (const name in given) {
    const value = given[name];
    if (typeof value === "string") headers[name.toLowerCase()] = value;
    // A name set in upper case may stand for one that came: what was taken away, by either name, is not there.
    else if (value === undefined || value === null) delete headers[name.toLowerCase()];
    else headers[name.toLowerCase()] = toText(name, value);
  }
  return Object.freeze(headers);
}

function toText(name: string, value: unknown): string {
  if (Array.isArray(value)) return value.map((item) => toText(name, item)).join(", ");
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean" || typeof value === "bigint") return String(value);
  throw fail("header_not_text", { header: name, type: typeof value });
}
