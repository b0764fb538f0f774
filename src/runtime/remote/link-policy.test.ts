import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Random } from "../../../test/http/random.js";
import {
  firstPauseMs,
  healthyMs,
  LinkPolicy,
  leaveAfterMs,
  maxLinksEach,
  maxOpening,
  maxPauseMs,
  type NamedAddress,
  unfitPauseMs,
} from "./link-policy.js";

const at = (host: string): NamedAddress => ({ key: host, host, port: 7000, isSecure: true, serverName: "ranker" });

/** Policy without chance, whose connections the test opens. */
class Opened {
  now = 1_000;
  readonly policy: LinkPolicy;
  retired: number[] = [];

  constructor(random = () => 1) {
    this.policy = new LinkPolicy(random);
  }

  name(...hosts: string[]): void {
    this.policy.resolved(this.now, hosts.map(at));
  }

  /** @returns Connections to open now. */
  decide() {
    const { open, retire } = this.policy.decide(this.now);
    this.retired.push(...retire);
    return open.map(({ id, address }) => ({ id, host: address.host }));
  }

  open(id: number, replica: string, replicas = 1): boolean {
    return this.policy.opened(this.now, id, { replica, replicas });
  }

  /** Waits until the policy wants to decide again. @returns The wait. */
  wait(): number {
    const { nextAt } = this.policy.decide(this.now);
    const waitMs = nextAt - this.now;
    this.now = nextAt;
    return waitMs;
  }
}

describe("LinkPolicy", () => {
  it("connects to each address once, and again until it has a link for each replica (NP1)", () => {
    const links = new Opened();
    links.name("a", "b");
    const [a, b, ...none] = links.decide();
    assert.deepEqual([a?.host, b?.host, none.length], ["a", "b", 0]);
    assert.deepEqual(links.decide(), []);
    assert.equal(links.open(a?.id ?? 0, "A#0", 3), true);
    assert.equal(links.open(b?.id ?? 0, "B#0"), true);
    for (const replica of ["A#1", "A#2"]) {
      const [next, ...others] = links.decide();
      assert.deepEqual([next?.host, others.length], ["a", 0]);
      assert.equal(links.open(next?.id ?? 0, replica, 3), true);
    }
    assert.deepEqual([links.decide(), links.policy.readyLinks, links.policy.announced], [[], 4, 4]);
  });

  it("follows the number of replicas that an address has now", () => {
    const links = new Opened();
    links.name("a");
    const [first] = links.decide();
    links.open(first?.id ?? 0, "A#0", 1);
    assert.equal(links.policy.announce(first?.id ?? 0, 5), true);
    assert.equal(links.policy.announce(first?.id ?? 0, 5), false);
    for (let i = 1; i < 5; i++) links.open(links.decide()[0]?.id ?? 0, `A#${i}`, 5);
    assert.deepEqual([links.decide(), links.policy.readyLinks], [[], 5]);
    links.policy.announce(first?.id ?? 0, 1);
    for (let id = 2; id <= 5; id++) {
      links.policy.draining(links.now, id);
      links.policy.lost(links.now, id);
    }
    links.now += maxPauseMs;
    assert.deepEqual([links.decide(), links.policy.readyLinks], [[], 1]);
  });

  it("opens few connections at the same time, to addresses without a link first (NP1)", () => {
    const links = new Opened();
    links.name(...Array.from({ length: 20 }, (_, i) => `a${i}`));
    const opening = links.decide();
    assert.equal(opening.length, maxOpening);
    assert.equal(links.policy.decide(links.now).nextAt, Number.POSITIVE_INFINITY);
    links.open(opening[0]?.id ?? 0, "A0#0", 4);
    assert.deepEqual(
      links.decide().map(({ host }) => host),
      [`a${maxOpening}`],
    );
    const greedy = new Opened();
    greedy.name("a");
    for (let i = 0; i < 200; i++) {
      const [next] = greedy.decide();
      if (next !== undefined) greedy.open(next.id, `A#${i}`, 200);
    }
    assert.equal(greedy.policy.readyLinks, maxLinksEach);
  });

  it("lets an address rest after a failure, longer each time, and by chance (NP2)", () => {
    const rest = (random: () => number) => {
      const links = new Opened(random);
      links.name("a");
      return Array.from({ length: 10 }, () => {
        for (const { id } of links.decide()) links.policy.failed(links.now, id, "failed");
        return links.wait();
      });
    };
    assert.deepEqual(
      rest(() => 1),
      [50, 100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000],
    );
    assert.deepEqual(rest(() => 0).slice(0, 3), [25, 50, 100]);
  });

  it("begins the row again after a link that has lived for a while, and not after one that ended at once (NP2)", () => {
    for (const [livedMs, restMs] of [
      [healthyMs, firstPauseMs],
      [healthyMs - 1, firstPauseMs * 8],
    ] as const) {
      const links = new Opened();
      links.name("a");
      for (let i = 0; i < 3; i++) {
        for (const { id } of links.decide()) links.policy.failed(links.now, id, "failed");
        links.wait();
      }
      const [next] = links.decide();
      links.open(next?.id ?? 0, "A#0");
      links.now += livedMs;
      links.policy.lost(links.now, next?.id ?? 0);
      assert.equal(links.wait(), restMs);
    }
  });

  it("tries an address with another contract seldom", () => {
    const links = new Opened();
    links.name("a");
    links.policy.failed(links.now, links.decide()[0]?.id ?? 0, "unfit");
    assert.equal(links.wait(), unfitPauseMs);
  });

  it("closes a second link to a replica, unless the first one drains or is silent (NP3)", () => {
    const links = new Opened();
    links.name("a");
    const [first] = links.decide();
    links.open(first?.id ?? 0, "A#0", 2);
    assert.equal(links.open(links.decide()[0]?.id ?? 0, "A#0", 2), false);
    assert.equal(links.wait(), firstPauseMs);
    links.policy.silent(first?.id ?? 0, true);
    assert.equal(links.open(links.decide()[0]?.id ?? 0, "A#0", 2), true);
    links.policy.silent(first?.id ?? 0, false);
    assert.equal(links.policy.readyLinks, 2);
  });

  it("keeps the links of an address that its names give no more for a while, then retires them (NP4)", () => {
    const links = new Opened();
    links.name("a", "b");
    for (const { id, host } of links.decide()) links.open(id, host);
    links.name("b");
    links.now += leaveAfterMs - 1;
    assert.deepEqual([links.decide(), links.retired, links.policy.readyLinks], [[], [], 2]);
    links.name("a", "b");
    links.now += leaveAfterMs;
    links.decide();
    assert.deepEqual(links.retired, []);
    links.name("b");
    assert.equal(links.wait(), leaveAfterMs);
    links.decide();
    assert.deepEqual([links.retired, links.policy.readyLinks, links.policy.addresses], [[1], 1, 1]);
  });

  it("gives up a connection that is being opened to an address that has left (NP4)", () => {
    const links = new Opened();
    links.name("a", "b");
    const [a] = links.decide();
    links.name("b");
    links.now += leaveAfterMs;
    links.decide();
    assert.deepEqual(links.retired, [a?.id]);
    assert.equal(links.open(a?.id ?? 0, "A#0"), false);
  });

  it("ends with one link for each replica, whatever happens on the way", () => {
    for (let seed = 1; seed <= 40; seed++) simulate(new Random(seed));
  });
});

/** Hosts that come, go, fail and answer with any of their replicas, for a minute; then calm for some minutes. */
function simulate(random: Random): void {
  const policy = new LinkPolicy(() => random.next());
  const hosts = ["a", "b", "c", "d"];
  const replicas = new Map(hosts.map((host) => [host, random.between(1, 5)]));
  const open = new Set<number>();
  const wildUntil = 60_000;
  for (let now = 0; now < 300_000; ) {
    const isWild = now < wildUntil;
    if (!isWild) policy.resolved(now, hosts.map(at));
    else if (random.chance(0.2)) policy.resolved(now, hosts.filter(() => random.chance(0.7)).map(at));
    const { open: wanted, retire, nextAt } = policy.decide(now);
    for (const id of retire) open.delete(id);
    for (const { id, address } of wanted) {
      const count = replicas.get(address.host) ?? 1;
      const replica = `${address.host}#${random.between(0, count - 1)}`;
      if (isWild && random.chance(0.3)) policy.failed(now, id, "failed");
      else if (policy.opened(now, id, { replica, replicas: count })) open.add(id);
    }
    for (const id of open) {
      if (!isWild || !random.chance(0.05)) continue;
      policy.lost(now, id);
      open.delete(id);
    }
    now = Math.min(Math.max(nextAt, now + 1), now + 250);
  }
  const all = [...replicas.values()].reduce((sum, count) => sum + count, 0);
  assert.deepEqual([policy.readyLinks, open.size], [all, all]);
}
