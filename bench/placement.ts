// Measures the cost of one hop by placement, beside the minimum: bare frames and bare ports.
import { compose } from "ekiben/testing";
import { type CallFigures, callUnits, driveLoops } from "./closed-loops.ts";
import { placements } from "./ekiben-command.ts";
import { Grid } from "./grid.ts";
import { measureInTurn } from "./measure.ts";
import { createVerdict, report } from "./report.ts";
import { createPortLimit, createSharedLimit, createSocketLimit } from "./rivals/raw-limits.ts";
import { pickParts, readSettings } from "./settings.ts";
import { Caller, messages } from "./workloads/hop.ts";

const { seconds, rounds } = readSettings({ seconds: 2, rounds: 7 });
const loads = { small: [1, 16, 64], picture: [1, 16] } as const;
const titles = { small: "small", picture: "602 kB" } as const;

const names = {
  inline: "ekiben, inline",
  thread: "ekiben, thread",
  process: "ekiben, process",
  socket: "raw: framed Unix socket, another process",
  port: "raw: MessagePort, another thread",
  shared: "raw: MessagePort and shared memory",
} as const;

const apps = await Promise.all(
  placements.map(async (placement) => ({
    name: names[placement],
    app: await compose(Caller, { options: { services: { Echo: { placement } } } }),
  })),
);
const limits = [
  { name: names.socket, limit: await createSocketLimit() },
  { name: names.port, limit: await createPortLimit() },
  { name: names.shared, limit: await createSharedLimit() },
];
const rawMessages = {
  small: { text: messages.small.text },
  picture: { text: messages.picture.text, pixels: messages.picture.picture.data },
};

const grid = new Grid<CallFigures>(callUnits);
for (const message of pickParts(["small", "picture"] as const)) {
  for (const loops of loads[message]) {
    const contestants = [
      ...apps.map(({ name, app }) => ({ name, round: () => app.entry.drive({ message, loops, seconds }) })),
      ...limits
        .filter(({ name }) => message === "picture" || name !== names.shared)
        .map(({ name, limit }) => ({
          name,
          round: () => driveLoops((loop) => limit.call(rawMessages[message], loop), loops, seconds),
        })),
    ];
    grid.add(`${titles[message]}, ${loops} at once`, await measureInTurn(contestants, rounds));
  }
}
await Promise.all([...apps.map(({ app }) => app.close()), ...limits.map(({ limit }) => limit.close())]);

const bySocket = [names.process, names.socket] as const;
const byPort = [names.thread, names.port] as const;
const byMemory = [names.thread, names.shared] as const;
const ratios = grid.compare(["p50", "perSecond", "cpu"], [bySocket, byPort, byMemory]);
const targets = [
  ["small, 16 at once", "perSecond", bySocket, { atLeast: 0.6 }],
  ["small, 1 at once", "p50", bySocket, { atMost: 1.6 }],
  ["small, 16 at once", "perSecond", byPort, { atLeast: 0.6 }],
  ["602 kB, 1 at once", "p50", byMemory, { atMost: 1.5 }],
  ["602 kB, 1 at once", "p50", bySocket, { atMost: 0.8 }],
] as const;
const verdicts = targets.map(([load, figure, pair, bound]) =>
  createVerdict(
    `${load}: ${callUnits[figure][0]}, ${pair[0]} to ${pair[1]}`,
    grid.ratio(load, figure, pair),
    bound,
    "x",
  ),
);
report("placement", {
  rows: [...grid.rows, ...ratios.rows],
  tables: [grid.table, ratios.table],
  verdicts: verdicts.filter(({ value }) => !Number.isNaN(value)),
  setup: {
    seconds,
    rounds,
    checks: "zod and tensor checks of input and output; the raw limits check nothing",
  },
});
