import { isIP } from "node:net";
import type { ValueType } from "./value-types.js";

/** Address and port that a server listens on. */
export interface SocketAddress {
  /** Address or name of a host, an IPv6 address without brackets. */
  readonly host: string;
  readonly port: number;
}

const addressForm = /^(?:\[([^[\]]+)\]|([^:[\]/\s]+)):(\d{1,5})$/;

/** Reads `"0.0.0.0:7000"`, `"[::1]:7000"` or `"localhost:7000"`; `undefined` for any other text. */
function parseSocketAddress(text: string): SocketAddress | undefined {
  const [, inner, plain, digits] = addressForm.exec(text) ?? [];
  const port = Number(digits);
  if (digits === undefined || port > 65_535) return undefined;
  if (inner !== undefined) return isIP(inner) === 6 ? { host: inner, port } : undefined;
  return plain === undefined ? undefined : { host: plain, port };
}

/** Formats an address as a flag takes it. */
export const formatSocketAddress = ({ host, port }: SocketAddress): string =>
  `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;

/** Address and port to listen on; as text `0.0.0.0:7000`. */
export const socketAddress: ValueType<SocketAddress, string> = {
  expected: "an address and a port, such as 0.0.0.0:7000, or [::]:7000 for all of IPv6; port 0 takes a free one",
  placeholder: "<address>:<port>",
  unit: "",
  fromCode: (value) => (typeof value === "string" ? parseSocketAddress(value) : undefined),
  fromText: parseSocketAddress,
  format: formatSocketAddress,
};

/** True for an address that only this machine reaches. Of names only `localhost` is known to be one. */
export const isLoopbackHost = (host: string): boolean =>
  host === "localhost" || (isIP(host) === 4 ? host.startsWith("127.") : /^(::1|::ffff:127\..*)$/i.test(host));

/** Text of which `""` is none. */
const textOrNone = (expected: string, placeholder: string): ValueType<string> => ({
  expected,
  placeholder,
  unit: "",
  fromCode: (value) => (typeof value === "string" ? value : undefined),
  fromText: (text) => text,
  format: (value) => (value === "" ? "none" : value),
});

export const filePath = textOrNone("the path of a file", "<file>");

export const serviceName = textOrNone("the name of a service", "<name>");

/** Address of a service that runs elsewhere: a host and a port, or a name whose SRV records give both. */
export interface RemoteAddress {
  /** `"tcp"` is plain and only for a loopback address; `"tls+srv"` asks the DNS for SRV records. */
  readonly scheme: "tls" | "tcp" | "tls+srv";
  /** Host name or IP address, without brackets. Name of the SRV records for `"tls+srv"`. */
  readonly host: string;
  /** 0 for `"tls+srv"`. */
  readonly port: number;
}

/** Most addresses that one service may be given. */
const maxAddresses = 64;

/** Longest host name in the DNS. */
const maxHostLength = 253;

/** Addresses of a service, in text joined by commas or newlines. Empty, in text `here`, for one that runs here. */
export const remoteAddresses: ValueType<readonly RemoteAddress[], string | readonly string[]> = {
  expected:
    "addresses joined by commas: tls://ranker:7000, tls+srv://_ekiben._tcp.ranker.example, or tcp://127.0.0.1:7000, which is for loopback addresses alone, since calls to other machines need TLS; here for none",
  placeholder: "here|<url>",
  unit: "",
  fromCode: (value) => {
    const given: readonly unknown[] = Array.isArray(value) ? value : [value];
    if (given.length === 0) return [];
    return given.every((one) => typeof one === "string") ? readAll(given.flatMap(splitAddresses)) : undefined;
  },
  fromText: (text) => (text.trim() === "here" ? [] : readAll(splitAddresses(text))),
  format: (addresses) => addresses.map(formatAddress).join(", ") || "here",
};

/** Writes an address as it is given: `"tls://ranker:7000"`. */
export function formatAddress({ scheme, host, port }: RemoteAddress): string {
  const name = isIP(host) === 6 ? `[${host}]` : host;
  return `${scheme}://${name}${scheme === "tls+srv" ? "" : `:${port}`}`;
}

const splitAddresses = (text: string): string[] =>
  text
    .split(/[,\n]/)
    .map((part) => part.trim())
    .filter((part) => part !== "");

function readAll(texts: readonly string[]): readonly RemoteAddress[] | undefined {
  const addresses = texts.map(readAddress);
  const isWhole = addresses.length > 0 && addresses.length <= maxAddresses;
  return isWhole && addresses.every((address) => address !== undefined) ? addresses : undefined;
}

const remoteForm = /^(tls|tcp):\/\/(?:\[([\da-f:.]+)\]|([\w.-]+)):(\d{1,5})$/i;
const recordForm = /^tls\+srv:\/\/([\w.-]+)$/i;

/** @returns `undefined` for a text that is no address. Parts that would be ignored, such as a path, are refused. */
function readAddress(text: string): RemoteAddress | undefined {
  const record = recordForm.exec(text)?.[1];
  if (record !== undefined) return isHost(record) ? { scheme: "tls+srv", host: record, port: 0 } : undefined;
  const [, scheme = "", literal, name = "", digits] = remoteForm.exec(text) ?? [];
  const host = literal ?? name;
  const port = Number(digits);
  if (!(port >= 1 && port <= 65_535)) return undefined;
  if (literal === undefined ? !isHost(name) : isIP(literal) !== 6) return undefined;
  const kind = scheme.toLowerCase() === "tcp" ? "tcp" : "tls";
  return kind === "tls" || isLoopbackHost(host) ? { scheme: kind, host, port } : undefined;
}

/** True for a name with labels that are not empty, or for an IPv4 address. */
const isHost = (name: string): boolean =>
  name.length <= maxHostLength && name.split(".").every((label) => label !== "" && label.length <= 63);
