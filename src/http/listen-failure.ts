import { fail } from "../failure/failures.js";
import type { ServingError } from "../failure/serving-error.js";
import { messageOf } from "../failure/to-serving-error.js";

/** Address that a server was told to listen on. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
  /** True for the address of `adminPort`. */
  readonly isAdmin?: boolean;
  /** True for the address of `listen`. */
  readonly isEdge?: boolean;
}

/**
 * Creates the failure for an address that can't be listened on, with host and port.
 *
 * @param error The error of Node, with its `code`.
 */
export function listenFailure(error: unknown, { host, port, isAdmin, isEdge }: ListenAddress): ServingError {
  const code = String((error as { code?: unknown } | undefined)?.code ?? "");
  const place = { cause: error };
  switch (code) {
    case "EADDRINUSE":
      return fail(
        "port_in_use",
        { host, port, ...(isAdmin === true && { isAdmin }), ...(isEdge === true && { isEdge }) },
        place,
      );
    case "EADDRNOTAVAIL":
    case "EAFNOSUPPORT":
      return fail("address_unavailable", { host, port, code }, place);
    case "EACCES":
    case "EPERM":
      return fail("port_denied", { host, port, code }, place);
  }
  if (code === "ENOTFOUND" || code.startsWith("EAI_")) return fail("host_unknown", { host, port, code }, place);
  return fail("cannot_listen", { host, port, problem: messageOf(error) }, place);
}

/** Returns a host as the system knows it. An IPv6 address may come in brackets, as in a URL. */
export const bareHost = (host: string): string => /^\[(.*)\]$/.exec(host)?.[1] ?? host;
