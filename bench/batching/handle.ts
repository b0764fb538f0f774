// W5 through a handle, without HTTP: the share of the network's offline speed that reaches callers with one row or
// eight rows each. A row takes the network about 30 us, so a call with a single row pays for its hop alone. Between two
// batches the network has evicted everything else from the caches, so many calls in one batch cost a replica less per
// call than few.

import { Tensor } from "ekiben";
import { compose } from "ekiben/testing";
import { driveLoops } from "../closed-loops.ts";
import { placements } from "../ekiben-command.ts";
import { Grid } from "../grid.ts";
import { measureInTurn } from "../measure.ts";
import { createVerdict, report } from "../report.ts";
import { createMlpRow, mlpInputs } from "../workloads/mlp-model.ts";
import { Mlp } from "../workloads/w5.ts";
import { batchSizes, openOffline } from "./offline.ts";

/** Settings for the most rows a second of this network, whatever the latency of one call. */
const maxRows = 256;
const options = { services: { Mlp: { apis: { predict: { batch: { maxRows } } } } } } as const;

/** Concurrent callers, and the rows of each of their calls. */
const loads = [
  { callers: 1, rows: 1 },
  { callers: 16, rows: 1 },
  { callers: 64, rows: 1 },
  { callers: 256, rows: 1 },
  { callers: 64, rows: 8 },
] as const;
const nameOf = ({ callers, rows }: (typeof loads)[number]) => `${callers} callers, ${rows} a call`;

/** Result of one round. */
type RowFigures = { readonly perSecond: number; readonly p50: number };

export async function measureHandle(seconds: number, rounds: number): Promise<void> {
  const grid = new Grid<RowFigures>({ perSecond: ["rows", "/s"], p50: ["p50", "ms"] });
  const offline = await openOffline();
  const apps = await Promise.all(
    placements.map(async (placement) => ({ placement, app: await compose(Mlp, { placement, options }) })),
  );
  for (const load of loads) {
    const { callers, rows } = load;
    const inputs = Array.from({ length: 16 }, (_, i) => createRows(i, rows));
    const drive = async (call: (rows: Inputs) => Promise<unknown>): Promise<RowFigures> => {
      const { perSecond, p50 } = await driveLoops((loop) => call(inputs[loop % 16] as Inputs), callers, seconds);
      return { perSecond: perSecond * rows, p50: p50 / 1000 };
    };
    const contestants = [
      ...apps.map(({ placement, app }) => ({
        name: placement as string,
        round: () => drive((inputs) => app.entry.predict({ inputs })),
      })),
      ...apps
        .filter(({ placement }) => placement === "process")
        .map(({ placement, app }) => ({
          name: `${placement}, no batching`,
          round: () => drive((inputs) => app.entry.predict_plain({ inputs })),
        })),
      ...batchSizes.map((size) => ({
        name: offlineName(size),
        round: async () => ({ perSecond: await offline.measure(size, seconds / 3), p50: Number.NaN }),
      })),
    ];
    grid.add(nameOf(load), await measureInTurn(contestants, rounds));
  }
  await Promise.all([...apps.map(({ app }) => app.close()), offline.close()]);
  reportHandle(grid, seconds, rounds);
}

type Inputs = Tensor<"float32", readonly [number, typeof mlpInputs]>;

function createRows(seed: number, rows: number): Inputs {
  const data = new Float32Array(rows * mlpInputs);
  for (let row = 0; row < rows; row++) data.set(createMlpRow(seed + row), row * mlpInputs);
  return new Tensor("float32", [rows, mlpInputs], data);
}

const offlineName = (size: number) => `offline, ${size} rows a batch`;

function reportHandle(grid: Grid<RowFigures>, seconds: number, rounds: number): void {
  const load = nameOf({ callers: 64, rows: 8 });
  const best = batchSizes.reduce((most, size) =>
    grid.ratio(load, "perSecond", [offlineName(size), offlineName(most)]) > 1 ? size : most,
  );
  const ratios = grid.compare(
    ["perSecond"],
    placements.map((placement) => [placement, offlineName(best)]),
  );
  report("batching-handle", {
    rows: [...grid.rows, ...ratios.rows],
    tables: [grid.table, ratios.table],
    verdicts: (["inline", "process"] as const).map((placement) =>
      createVerdict(
        `rows/s, ${load}, ${placement} to offline at its best (${best} rows a batch)`,
        grid.ratio(load, "perSecond", [placement, offlineName(best)]),
        { atLeast: 0.9 },
        "x",
      ),
    ),
    setup: { seconds, rounds, maxRows, model: "W5, one thread", checks: "all" },
  });
}
