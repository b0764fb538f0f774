import { isIP } from "node:net";
import { bool, type ValueType } from "./value-types.js";

// Types of options that are lists of names: origins, hosts, networks, headers, fields.

/** Origins that browsers may call from: `false` for none, `true` for any, or a list. */
export const origins: ValueType<boolean | readonly string[], boolean | string | readonly string[]> = {
  expected: 'true for any origin, false for none, or origins such as "https://example.com"; as text joined by commas',
  placeholder: "true|false|<origin,…>",
  unit: "",
  fromCode: (value) => {
    if (typeof value === "boolean") return value;
    if (typeof value === "string") return origins.fromText(value);
    return Array.isArray(value) && value.length > 0 && value.every(isOrigin) ? [...value] : undefined;
  },
  fromText: (text) => {
    if (text === "*") return true;
    const listed = text.split(",").map((origin) => origin.trim());
    return bool.fromText(text) ?? (listed.every(isOrigin) ? listed : undefined);
  },
  format: (value) => (typeof value === "boolean" ? (value ? "any origin" : "none") : value.join(", ")),
};

/** Proxies to trust: all, none, or those with an address of a list. */
export const proxies: ValueType<boolean | readonly string[], boolean | string | readonly string[]> = {
  expected:
    'false for none, true for all, or addresses of proxies such as "10.0.0.0/8" or "loopback"; as text joined by commas',
  placeholder: "true|false|<address,…>",
  unit: "",
  fromCode: (value) => {
    if (typeof value === "boolean") return value;
    const given: readonly unknown[] = Array.isArray(value) ? value : [value];
    return given.length > 0 && given.every(isNetwork) ? [...given] : undefined;
  },
  fromText: (text) => {
    if (text === "true" || text === "false") return text === "true";
    return proxies.fromCode(splitList(text));
  },
  format: (value) => (typeof value === "boolean" ? (value ? "all" : "none") : value.join(", ")),
};

function isNetwork(value: unknown): value is string {
  if (typeof value !== "string") return false;
  if (/^(loopback|linklocal|uniquelocal)$/.test(value)) return true;
  const [address = "", bits, more] = value.split("/");
  const family = isIP(address);
  if (family === 0 || more !== undefined) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128));
}

/** Names of hosts, in lower case; `true` for any. */
export const hostNames: ValueType<true | readonly string[], true | string | readonly string[]> = {
  expected:
    'true for any name, or names such as "app.example" (".app.example" also takes names below it); as text joined by commas, or none',
  placeholder: "true|none|<name,…>",
  unit: "",
  fromCode: (value) => {
    if (value === true) return value;
    const given: readonly unknown[] = Array.isArray(value) ? value : [value];
    return given.every(isHostName) ? given.map((name) => name.toLowerCase()) : undefined;
  },
  fromText: (text) => {
    if (text === "true") return true;
    return text === "none" ? [] : hostNames.fromCode(splitList(text));
  },
  format: (value) => (value === true ? "any name" : value.join(", ") || "none"),
};

const isHostName = (value: unknown): value is string =>
  typeof value === "string" && /^\.?[a-z\d_-]+(\.[a-z\d_-]+)*$/i.test(value);

/** Names of HTTP headers, in lower case. They have the form of a token in HTTP (RFC 9110, section 5.6.2). */
export const headerNames = listOf('names of headers such as "x-tenant"', "name", (name) =>
  /^[\w!#$%&'*+.^`|~-]+$/.test(name) ? name.toLowerCase() : undefined,
);

/** Paths of fields, with a point between two names. */
export const fieldPaths = listOf('paths of fields such as "user" or "claims.tenant"', "path", (path) =>
  /^[^\s,.]+(\.[^\s,.]+)*$/.test(path) ? path : undefined,
);

/** @param read Returns a text of the list in its one form; `undefined` when it is invalid. */
export function listOf(
  expected: string,
  what: string,
  read: (text: string) => string | undefined,
): ValueType<readonly string[], string | readonly string[]> {
  const fromCode = (value: unknown) => {
    const given: readonly unknown[] = Array.isArray(value) ? value : [value];
    const texts = given.map((text) => (typeof text === "string" ? read(text) : undefined));
    return texts.every((text) => text !== undefined) ? texts : undefined;
  };
  return {
    expected: `${expected}; as text joined by commas, or none`,
    placeholder: `none|<${what},…>`,
    unit: "",
    fromCode,
    fromText: (text) => (text === "none" ? [] : fromCode(splitList(text))),
    format: (texts) => texts.join(", ") || "none",
  };
}

const splitList = (text: string): string[] => text.split(",").map((part) => part.trim());

const isOrigin = (value: unknown) => typeof value === "string" && /^[a-z][a-z\d+.-]*:\/\/[^/\s]+$/i.test(value);
