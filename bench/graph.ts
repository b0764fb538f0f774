// Measures the cost of a graph by placement: four services in a row, and one that calls four at once.
import { compose } from "ekiben/testing";
import { type CallFigures, callUnits, driveLoops } from "./closed-loops.ts";
import { type Placement, placements } from "./ekiben-command.ts";
import { Grid } from "./grid.ts";
import { measureInTurn } from "./measure.ts";
import { report } from "./report.ts";
import { readSettings } from "./settings.ts";
import { A, D } from "./workloads/chain.ts";
import { Centre } from "./workloads/fan-out.ts";

const { seconds, rounds } = readSettings({ seconds: 2, rounds: 7 });
const message = { text: "hello" };

const grid = new Grid<CallFigures>(callUnits);
const graphs = await Promise.all(placements.map(startGraphs));
for (const loops of [1, 16]) {
  const contestants = graphs.flatMap(({ calls }) =>
    calls.map(({ name, call }) => ({ name, round: () => driveLoops(call, loops, seconds) })),
  );
  grid.add(`${loops} at once`, await measureInTurn(contestants, rounds));
}
await Promise.all(graphs.map(({ close }) => close()));

const ratios = grid.compare(
  ["p50", "perSecond", "cpu"],
  placements.flatMap((placement) => [
    [nameOf("chain", placement), nameOf("one service", placement)],
    [nameOf("fan-out", placement), nameOf("one service", placement)],
  ]),
);
report("graph", {
  rows: [...grid.rows, ...ratios.rows],
  tables: [grid.table, ratios.table],
  verdicts: [],
  setup: { seconds, rounds, caller: "the bench itself, so that a chain of four is four hops, and a fan-out five" },
});

/** Measures the same three graphs with one placement; each service has a process or thread of its own. */
async function startGraphs(placement: Placement) {
  const one = await compose(D, { placement });
  const chain = await compose(A, { placement });
  const fanOut = await compose(Centre, { placement });
  const [echoed, passedOn, gathered] = [
    await one.entry.run(message),
    await chain.entry.run(message),
    await fanOut.entry.run(message),
  ];
  const texts = [echoed, passedOn, ...gathered].map(({ text }) => text);
  if (texts.length !== 6 || texts.some((text) => text !== message.text)) throw new Error(`wrong answers: ${texts}`);
  return {
    calls: [
      { name: nameOf("one service", placement), call: () => one.entry.run(message) },
      { name: nameOf("chain", placement), call: () => chain.entry.run(message) },
      { name: nameOf("fan-out", placement), call: () => fanOut.entry.run(message) },
    ],
    close: () => Promise.all([one.close(), chain.close(), fanOut.close()]),
  };
}

function nameOf(graph: "one service" | "chain" | "fan-out", placement: string): string {
  const titles = { "one service": "one service", chain: "chain of four", "fan-out": "fan-out to four" };
  return `${titles[graph]}, ${placement}`;
}
