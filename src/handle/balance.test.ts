import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Random } from "../../test/http/random.js";
import type { ReplicaLink } from "../call/link.js";
import { pickByKey, pickOfTwo } from "./balance.js";

/** Replica that serves a few calls at once; each caller's link to it knows its last report and the calls since. */
class Server {
  readonly name: string;
  readonly slots: number;
  readonly isNear: boolean;
  calls = 0;
  most = 0;

  constructor(name: string, slots = 10, isNear = false) {
    this.name = name;
    this.slots = slots;
    this.isNear = isNear;
  }

  get link(): ReplicaLink {
    return { replica: this.name, inFlight: this.calls, burden: this.calls / this.slots } as ReplicaLink;
  }
}

const createServers = (count: number, slots?: number) =>
  Array.from({ length: count }, (_, i) => new Server(`r${i}`, slots));
const nobody: readonly ReplicaLink[] = [];

/** Adds so many calls, each to the picked server, without any that end. @returns The calls of each server. */
function load(servers: readonly Server[], calls: number, pick: (links: readonly ReplicaLink[]) => ReplicaLink) {
  for (let i = 0; i < calls; i++) {
    const { replica } = pick(servers.map(({ link }) => link));
    const server = servers.find(({ name }) => name === replica) as Server;
    server.calls++;
  }
  return servers.map(({ calls: own }) => own);
}

describe("pickOfTwo", () => {
  it("spreads calls far more evenly than chance (HB1)", () => {
    const random = new Random(7);
    const spread = load(createServers(20), 2_000, (links) => pickOfTwo(links, nobody, () => random.next()));
    assert.ok(Math.max(...spread) - Math.min(...spread) <= 6, String(spread));
  });

  it("gives a replica with twice the slots twice the calls (HB1)", () => {
    const random = new Random(8);
    const servers = [...createServers(10, 10), new Server("large", 20)];
    const spread = load(servers, 600, (links) => pickOfTwo(links, nobody, () => random.next()));
    const others = spread.slice(0, 10).reduce((sum, calls) => sum + calls, 0) / 10;
    assert.ok((spread[10] ?? 0) > others * 1.5, String(spread));
  });

  it("does not send all callers to the replica that was the least loaded at the last report (HB1)", () => {
    const random = new Random(9);
    const servers = createServers(10);
    for (const server of servers.slice(1)) server.calls = 5;
    const stale = servers.map(({ link }) => link);
    const picks = Array.from({ length: 1_000 }, () => pickOfTwo(stale, nobody, () => random.next()).replica);
    const share = picks.filter((replica) => replica === "r0").length / picks.length;
    // It is one of the two that are taken in a fifth of all cases.
    assert.ok(share > 0.15 && share < 0.25, String(share));
  });

  it("stays in the own zone until that has no free slot (HB2)", () => {
    const random = new Random(10);
    const servers = [...createServers(4), new Server("near0", 10, true), new Server("near1", 10, true)];
    const pick = (links: readonly ReplicaLink[]) =>
      pickOfTwo(
        links,
        links.filter(({ replica }) => replica.startsWith("near")),
        () => random.next(),
      );
    const first = load(servers, 18, pick);
    assert.deepEqual(first.slice(0, 4), [0, 0, 0, 0]);
    const then = load(servers, 40, pick);
    assert.ok(
      then.slice(0, 4).every((calls) => calls > 0),
      String(then),
    );
    const busy = then.slice(4).reduce((sum, calls) => sum + calls, 0);
    assert.ok(busy < 30, String(then));
  });
});

describe("pickOfTwo, with reports that are up to 100 ms old", () => {
  /** Callers that send calls at different rates for 10 s. @returns Most calls at one replica, as share of its slots. */
  function simulate(seed: number): number {
    const random = new Random(seed);
    const servers = createServers(8, 20);
    const views = [0, 1, 2, 3].map(() => servers.map(() => ({ reported: 0, ownThen: 0, own: 0 })));
    // The first caller makes nine of ten calls. All of them together use half of all slots.
    const chances = [0.9, 0.04, 0.03, 0.03];
    const ends: { at: number; caller: number; server: number }[] = [];
    let worst = 0;
    for (let ms = 0; ms < 10_000; ms++) {
      for (let i = ends.length - 1; i >= 0; i--) {
        const { at, caller, server } = ends[i] as (typeof ends)[number];
        if (at > ms) continue;
        ends.splice(i, 1);
        (servers[server] as Server).calls--;
        (views[caller]?.[server] as { own: number }).own--;
      }
      if (ms % 100 === 0) {
        for (const view of views) {
          for (const [i, own] of view.entries()) {
            own.reported = (servers[i] as Server).calls;
            own.ownThen = own.own;
          }
        }
      }
      for (let call = 0; call < 2; call++) {
        const at = random.next();
        const caller = chances.findIndex((_, i) => at < chances.slice(0, i + 1).reduce((sum, own) => sum + own, 0));
        const view = views[Math.max(0, caller)] ?? [];
        const links = view.map(({ reported, ownThen, own }, i) => {
          const burden = Math.max(own, reported + own - ownThen) / 20;
          return { replica: `r${i}`, inFlight: own, burden } as ReplicaLink;
        });
        const server = Number(pickOfTwo(links, nobody, () => random.next()).replica.slice(1));
        (servers[server] as Server).calls++;
        (view[server] as { own: number }).own++;
        ends.push({ at: ms + random.between(1, 79), caller: Math.max(0, caller), server });
      }
      worst = Math.max(worst, ...servers.map(({ calls }) => calls / 20));
    }
    return worst;
  }

  it("fills no replica's slots while half of all are free, however uneven the callers are", () => {
    for (const seed of [1, 2, 3]) {
      const worst = simulate(seed);
      assert.ok(worst <= 1, `${worst} of the slots of one replica`);
    }
  });
});

describe("pickByKey", () => {
  const keys = Array.from({ length: 2_000 }, (_, i) => `conversation ${i}`);
  const place = (links: readonly ReplicaLink[]) => new Map(keys.map((key) => [key, pickByKey(links, key).replica]));

  it("sends a key to one replica, whatever the order of the links, and spreads keys evenly (HB3)", () => {
    const links = createServers(5).map(({ link }) => link);
    const [before, after] = [place(links), place([...links].reverse())];
    assert.deepEqual([...after], [...before]);
    for (const { replica } of links) {
      const own = [...before.values()].filter((name) => name === replica).length;
      assert.ok(own > 300 && own < 500, `${replica} has ${own} of ${keys.length} keys`);
    }
  });

  it("moves only the keys of a replica that leaves, and brings them back (HB3)", () => {
    const links = createServers(5).map(({ link }) => link);
    const before = place(links);
    const after = place(links.slice(1));
    for (const [key, replica] of before) {
      if (replica !== "r0") assert.equal(after.get(key), replica, key);
    }
    assert.deepEqual([...place(links)], [...before]);
  });

  it("does not let one key fill its replica while others are idle (HB4)", () => {
    const servers = createServers(5);
    const spread = load(servers, 40, (links) => pickByKey(links, "the same"));
    assert.equal(
      spread.reduce((sum, calls) => sum + calls, 0),
      40,
    );
    assert.ok(Math.max(...spread) <= 11, String(spread));
    const light = load(createServers(5), 5, (links) => pickByKey(links, "the same"));
    assert.deepEqual([...light].sort(), [0, 0, 0, 0, 5]);
  });

  it("counts calls where replicas report no load (HB4)", () => {
    const servers = createServers(4);
    const pick = (links: readonly ReplicaLink[]) =>
      pickByKey(
        links.map(({ replica, inFlight }) => ({ replica, inFlight }) as ReplicaLink),
        "the same",
      );
    assert.deepEqual([...load(servers, 8, pick)].sort(), [0, 0, 0, 8]);
    const full = load(servers, 32, pick);
    assert.ok(Math.max(...full) <= 14, String(full));
  });
});
