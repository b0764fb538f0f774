// Measures streams: a producer alone and behind services that forward its stream, many open at once, and both
// directions over HTTP.
//
// The main figure is items a second through a middle service relative to the producer alone, in the same round.
import { serve } from "ekiben";
import { connect } from "ekiben/client";
import { type ComposedApp, compose } from "ekiben/testing";
import { type Placement, placements } from "./ekiben-command.ts";
import { Grid } from "./grid.ts";
import { measureInTurn } from "./measure.ts";
import { listTree, readCpuMicros, readMemory } from "./processes.ts";
import { createVerdict, report, type Verdict } from "./report.ts";
import { pickParts, readSettings } from "./settings.ts";
import { Middle, Outer, Producer } from "./workloads/streams.ts";

const { rounds, seconds } = readSettings({ seconds: 1, rounds: 15 });
/** Bytes of one item, the size that the promise is made for. */
const itemsOfOne = 10_000;
const openAtOnce = 1000;
const itemsOfEach = 100;

/** Result of one round of one contestant. */
type StreamFigures = {
  readonly perSecond: number;
  /** CPU time of all processes, in microseconds; 0 when a round is too short for the clock of /proc. */
  readonly cpu: number;
};
const units = { perSecond: ["items", "/s"], cpu: ["CPU an item", "us"] } as const;

const grid = new Grid<StreamFigures>(units);
const verdicts: Verdict[] = [];
const parts = pickParts(["one", "input", "many", "http"] as const);

for (const placement of placements) {
  const app = await compose(Outer, { placement });
  const load = (what: string) => `${placement}, ${what}`;
  if (parts.includes("one")) await measureOne(app, load("one stream out"), placement);
  if (parts.includes("input")) await measureInput(app, load("one stream in"));
  if (parts.includes("many")) await measureMany(app, load(`${openAtOnce} streams at once`));
  await app.close();
}
if (parts.includes("http")) await measureHttp();
report("streams", {
  rows: grid.rows,
  tables: [grid.table],
  verdicts,
  setup: { rounds, itemsOfOne, openAtOnce, itemsOfEach, item: '{"index":0,"text":"a small item"}', checks: "all" },
});

type App = ComposedApp<Outer>;
type Items = AsyncIterable<unknown>;

async function measureOne(app: App, load: string, placement: Placement): Promise<void> {
  const wish = { items: itemsOfOne };
  const ways: readonly (readonly [name: string, open: () => Items])[] = [
    ["the producer alone", () => app.service(Producer).items(wish)],
    ["handed on by one service", () => app.service(Middle).items(wish)],
    ["handed on by two", () => app.entry.items(wish)],
    ["read and yielded by one", () => app.service(Middle).reread(wish)],
    ["read and yielded by two", () => app.entry.reread(wish)],
  ];
  const contestants = ways.map(([name, open]) => ({ name, round: () => repeat(itemsOfOne, () => drain(open())) }));
  grid.add(load, await measureInTurn(contestants, rounds));
  for (const name of ["handed on by one service", "handed on by two"]) {
    const ratio = grid.ratio(load, "perSecond", [name, "the producer alone"]);
    verdicts.push(createVerdict(`${placement}: items, ${name} to the producer alone`, ratio, { atLeast: 0.95 }, "x"));
  }
}

async function measureInput(app: App, load: string): Promise<void> {
  const list = Array.from({ length: itemsOfOne }, (_, index) => ({ index, text: "a small item" }));
  const ways: readonly (readonly [name: string, call: () => Promise<unknown>])[] = [
    ["taken by its reader", () => app.service(Producer).take(list)],
    ["handed on by one service", () => app.service(Middle).take(list)],
    ["handed on by two", () => app.entry.take(list)],
  ];
  const contestants = ways.map(([name, call]) => ({ name, round: () => repeat(itemsOfOne, call) }));
  grid.add(load, await measureInTurn(contestants, rounds));
}

/** All streams are open before the first is read to its end. */
async function measureMany(app: App, load: string): Promise<void> {
  const wish = { items: itemsOfEach };
  const ways: readonly (readonly [name: string, open: () => Items])[] = [
    ["the producer alone", () => app.service(Producer).items(wish)],
    ["handed on by two", () => app.entry.items(wish)],
  ];
  const contestants = ways.map(([name, open]) => ({
    name,
    round: () => repeat(openAtOnce * itemsOfEach, () => drainMany(open)),
  }));
  grid.add(load, await measureInTurn(contestants, Math.ceil(rounds / 3)));
  const before = readPss();
  const iterators = Array.from({ length: openAtOnce }, () => app.entry.items({ items: 1e9 })[Symbol.asyncIterator]());
  await Promise.all(iterators.map((iterator) => iterator.next()));
  const perStream = ((readPss() - before) / openAtOnce) * 1024;
  verdicts.push(createVerdict(`${load}, unread but for one item: memory of each`, perStream, { atMost: 256 }, "KiB"));
  await Promise.all(iterators.map((iterator) => iterator.return?.()));
}

/** A client and a server: two processes in production, one here, so their costs add up. */
async function measureHttp(): Promise<void> {
  const server = await serve(Outer, {
    port: 0,
    host: "127.0.0.1",
    options: { placement: "inline", logLevel: "error" },
  });
  const client = await connect<Outer>(server.url);
  async function* produce() {
    for (let index = 0; index < itemsOfOne; index++) yield { index, text: "a small item" };
  }
  const contestants = [
    { name: "up and down at once", round: () => repeat(itemsOfOne, () => drain(client.echo(produce()))) },
    { name: "down alone", round: () => repeat(itemsOfOne, () => drain(client.items({ items: itemsOfOne }))) },
    { name: "up alone", round: () => repeat(itemsOfOne, () => client.take(produce())) },
  ];
  grid.add("over HTTP", await measureInTurn(contestants, rounds));
  await server.close();
}

/** Runs one round: repeats as often as the time allows, at least once. */
async function repeat(items: number, run: () => Promise<unknown>): Promise<StreamFigures> {
  const processes = listTree(process.pid);
  const cpuBefore = readCpuMicros(processes);
  const startedAt = performance.now();
  let count = 0;
  let elapsedMs = 0;
  do {
    await run();
    count += items;
    elapsedMs = performance.now() - startedAt;
  } while (elapsedMs < seconds * 1000);
  return { perSecond: (count / elapsedMs) * 1000, cpu: (readCpuMicros(processes) - cpuBefore) / count };
}

async function drain(items: Items): Promise<void> {
  let count = 0;
  for await (const _ of items) count++;
  if (count !== itemsOfOne && count !== itemsOfEach) throw new Error(`${count} items came`);
}

async function drainMany(open: () => Items): Promise<void> {
  await Promise.all(Array.from({ length: openAtOnce }, () => drain(open())));
}

function readPss(): number {
  const own = listTree(process.pid).map((pid) => readMemory(pid)?.pssMiB ?? 0);
  return own.reduce((sum, one) => sum + one, 0);
}
