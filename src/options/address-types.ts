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
