import { isIP } from "node:net";

/** Hosts that a server answers besides its own: `true` for any, or names. `".app.example"` takes names below it too. */
export type AllowedHosts = true | readonly string[];

/**
 * Checks the `host` header of requests to a server that listens on this machine alone, or that has a list of names.
 *
 * A page in a browser here may give its own name the address 127.0.0.1 (DNS rebinding). Its requests then count as
 * requests to its own origin, so it could read every answer. They carry its name, which no request to this server does.
 * Addresses are always taken: no such page has an address as its name.
 */
export class HostCheck {
  readonly #names: ReadonlySet<string>;
  readonly #suffixes: readonly string[];
  /** Header that was taken last. Clients send the same one each time. */
  #last = "";

  /** @param names Names to take besides `localhost`, in lower case. */
  constructor(names: readonly string[]) {
    this.#names = new Set(["localhost", ...names]);
    this.#suffixes = [".localhost", ...names.filter((name) => name.startsWith("."))];
  }

  /** @param host The header, with or without a port. */
  allows(host: string): boolean {
    if (host === this.#last) return true;
    if (!this.#isAllowed(host)) return false;
    this.#last = host;
    return true;
  }

  #isAllowed(host: string): boolean {
    const [, address, given] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/.exec(host) ?? [];
    if (address !== undefined) return isIP(address) === 6;
    if (given === undefined) return false;
    const name = given.toLowerCase().replace(/\.$/, "");
    if (isIP(name) === 4 || this.#names.has(name)) return true;
    return this.#suffixes.some((suffix) => name.endsWith(suffix) || `.${name}` === suffix);
  }
}

/**
 * Creates the check of a server. @returns `undefined` when nothing needs to be checked: `allowed` takes any name, or it
 * lists none and other machines reach the server by names that it does not know.
 *
 * @param bound Address that the server listens on.
 * @param host  Name by which it was told to listen.
 */
export function createHostCheck(bound: unknown, host: string, allowed: AllowedHosts): HostCheck | undefined {
  const { address } = (bound ?? {}) as { readonly address?: string };
  if (allowed === true || address === undefined) return undefined;
  if (allowed.length === 0 && !isLoopback(address)) return undefined;
  return new HostCheck([host.toLowerCase(), ...allowed]);
}

export const isLoopback = (address: string): boolean => /^(::1$|(::ffff:)?127\.)/i.test(address);
