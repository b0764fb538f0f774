// Decides to which addresses of a service that runs elsewhere links are opened, and when. It opens nothing itself.
//
// NP1  An address gets connections, one after another, until it has one link for each replica that it announces, but at
//      most `maxLinksEach`. Addresses without a link come first. At most `maxOpening` connections are being opened.
// NP2  After a failure an address rests, longer with each failure in a row, by a random part of it: callers that lost
//      the same replica do not return at the same moment. A link that has lived for a while ends the row.
// NP3  A second link to a replica is closed, unless the first one drains or is silent. Its address rests as after a
//      failure, since the next connection may reach the same replica again.
// NP4  An address that its names no longer give keeps its links for a while: a resolver may give a part of a list, a
//      different one each time. Then its links are retired: they take no new call and end with their last one.

/** One place to connect to. */
export interface NamedAddress {
  /** `"10.0.0.1:7000"`, unique among the addresses of a service. */
  readonly key: string;
  readonly host: string;
  readonly port: number;
  readonly isSecure: boolean;
  /** Host name that the certificate must be for; the IP address where no name was given. */
  readonly serverName: string;
}

/** Kind of an attempt that failed: another contract is tried seldom, since only a new version there can change it. */
export type FailureKind = "failed" | "unfit";

/** Steps to take now. */
interface LinkDecision {
  readonly open: readonly { readonly id: number; readonly address: NamedAddress }[];
  /** Ids of connections to retire. */
  readonly retire: readonly number[];
  /** Time of the next decision, if nothing happens before; `Infinity` for none. */
  readonly nextAt: number;
}

export const firstPauseMs = 50;
export const maxPauseMs = 10_000;
export const unfitPauseMs = 30_000;
/** Age from which on the end of a link is no failure of its address. */
export const healthyMs = 5_000;
export const leaveAfterMs = 15_000;
export const maxLinksEach = 64;
export const maxOpening = 8;

interface AddressState {
  readonly address: NamedAddress;
  /** Replicas that it announces; 1 until it has said so. */
  wanted: number;
  openingId: number | undefined;
  readonly links: Set<LinkState>;
  nextTryAt: number;
  /** Failures in a row, and second links in a row. */
  failures: number;
  seconds: number;
  missingSince: number | undefined;
}

interface LinkState {
  readonly id: number;
  readonly home: AddressState;
  readonly replica: string;
  readonly openedAt: number;
  isDraining: boolean;
  isSilent: boolean;
}

export class LinkPolicy {
  readonly #random: () => number;
  readonly #addresses = new Map<string, AddressState>();
  /** Addresses of connections that are being opened. */
  readonly #opening = new Map<number, AddressState>();
  readonly #links = new Map<number, LinkState>();
  #lastId = 0;

  /** @param random Returns a number from 0 up to 1. */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** Addresses that are known now. */
  get addresses(): number {
    return this.#addresses.size;
  }

  /** Links that take calls. */
  get readyLinks(): number {
    return [...this.#links.values()].filter(isUsable).length;
  }

  /** Replicas that all addresses announce, at least as many as there are links. */
  get announced(): number {
    return [...this.#addresses.values()].reduce((sum, { wanted, links }) => sum + (links.size > 0 ? wanted : 0), 0);
  }

  /** Notes all addresses that the names of the service give now. */
  resolved(now: number, addresses: readonly NamedAddress[]): void {
    const named = new Set(addresses.map(({ key }) => key));
    for (const address of addresses) {
      const known = this.#addresses.get(address.key);
      if (known === undefined) this.#addresses.set(address.key, createState(address, now));
      else known.missingSince = undefined;
    }
    for (const [key, state] of this.#addresses) if (!named.has(key)) state.missingSince ??= now;
  }

  /** Decides the next steps. Connections in `open` count as being opened from now on. */
  decide(now: number): LinkDecision {
    const retire = this.#leave(now);
    const open: { id: number; address: NamedAddress }[] = [];
    const due = [...this.#addresses.values()].filter(wantsLink).sort((a, b) => a.links.size - b.links.size);
    for (const state of due) {
      if (state.nextTryAt > now || this.#opening.size >= maxOpening) continue;
      const id = ++this.#lastId;
      state.openingId = id;
      this.#opening.set(id, state);
      open.push({ id, address: state.address });
    }
    return { open, retire, nextAt: this.#nextAt() };
  }

  /** Notes a link. @returns False for a second link to a replica, which is to be closed (NP3). */
  opened(now: number, id: number, hello: { readonly replica: string; readonly replicas: number }): boolean {
    const home = this.#endOpening(id);
    if (home === undefined) return false;
    const { replica, replicas } = hello;
    home.wanted = Math.max(1, replicas);
    if ([...this.#links.values()].some((link) => link.replica === replica && isUsable(link))) {
      this.#rest(now, home, home.seconds++);
      return false;
    }
    home.seconds = 0;
    const link = { id, home, replica, openedAt: now, isDraining: false, isSilent: false };
    home.links.add(link);
    this.#links.set(id, link);
    home.nextTryAt = now;
    return true;
  }

  /** Notes that a connection could not be opened. */
  failed(now: number, id: number, kind: FailureKind): void {
    const home = this.#endOpening(id);
    if (home === undefined) return;
    if (kind === "failed") this.#rest(now, home, home.failures++);
    else home.nextTryAt = now + unfitPauseMs * (0.5 + this.#random() / 2);
  }

  /** Notes the end of a link. */
  lost(now: number, id: number): void {
    const link = this.#links.get(id);
    if (link === undefined) return;
    this.#links.delete(id);
    const { home } = link;
    home.links.delete(link);
    if (now - link.openedAt >= healthyMs) home.failures = 0;
    this.#rest(now, home, home.failures++);
  }

  /** Notes that the replica of a link takes no new calls. Another may take its place. */
  draining(now: number, id: number): void {
    const link = this.#links.get(id);
    if (link === undefined) return;
    link.isDraining = true;
    link.home.nextTryAt = Math.max(link.home.nextTryAt, now + firstPauseMs);
  }

  /** Notes whether the other side of a link answers. */
  silent(id: number, isSilent: boolean): void {
    const link = this.#links.get(id);
    if (link !== undefined) link.isSilent = isSilent;
  }

  /** Notes how many replicas an address has now. @returns True when the number has changed. */
  announce(id: number, replicas: number): boolean {
    const home = this.#links.get(id)?.home;
    const wanted = Math.max(1, replicas);
    if (home === undefined || home.wanted === wanted) return false;
    home.wanted = wanted;
    return true;
  }

  #endOpening(id: number): AddressState | undefined {
    const home = this.#opening.get(id);
    this.#opening.delete(id);
    if (home !== undefined) home.openingId = undefined;
    return home;
  }

  /** @param row Failures of the same kind before this one. */
  #rest(now: number, home: AddressState, row: number): void {
    const pauseMs = Math.min(maxPauseMs, firstPauseMs * 2 ** Math.min(row, 20));
    home.nextTryAt = now + pauseMs * (0.5 + this.#random() / 2);
  }

  /** Forgets addresses that have been missing for long enough (NP4). @returns Their links. */
  #leave(now: number): number[] {
    const left = [...this.#addresses.values()].filter(
      ({ missingSince }) => missingSince !== undefined && now - missingSince >= leaveAfterMs,
    );
    return left.flatMap(({ address, links, openingId }) => {
      this.#addresses.delete(address.key);
      if (openingId !== undefined) this.#opening.delete(openingId);
      for (const { id } of links) this.#links.delete(id);
      const ids = [...links].map(({ id }) => id);
      return openingId === undefined ? ids : [...ids, openingId];
    });
  }

  #nextAt(): number {
    const times = [...this.#addresses.values()].flatMap((state) => {
      const leaveAt = state.missingSince === undefined ? [] : [state.missingSince + leaveAfterMs];
      return wantsLink(state) ? [...leaveAt, state.nextTryAt] : leaveAt;
    });
    // While as many as allowed are being opened, the next one follows when one of them has ended.
    return this.#opening.size >= maxOpening ? Number.POSITIVE_INFINITY : Math.min(...times, Number.POSITIVE_INFINITY);
  }
}

function createState(address: NamedAddress, now: number): AddressState {
  return {
    address,
    wanted: 1,
    openingId: undefined,
    links: new Set(),
    nextTryAt: now,
    failures: 0,
    seconds: 0,
    missingSince: undefined,
  };
}

const isUsable = ({ isDraining, isSilent }: LinkState): boolean => !isDraining && !isSilent;

function wantsLink({ openingId, links, wanted, missingSince }: AddressState): boolean {
  if (openingId !== undefined || missingSince !== undefined) return false;
  const usable = [...links].filter(({ isDraining }) => !isDraining).length;
  return usable < Math.min(wanted, maxLinksEach);
}
