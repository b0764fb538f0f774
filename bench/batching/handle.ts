// W5 through a handle, without HTTP: how much of what the network gives offline reaches callers with one row each.

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

const callerCounts = [1, 16, 64, 256];

/** Of one round. */
type RowFigures = { readonly perSecond: number; readonly p50: number };

export async function measureHandle(seconds: number, rounds: number): Promise<void> {
  const grid = new Grid<RowFigures>({ perSecond: ["rows", "/s"], p50: ["p50", "ms"] });
  const offline = await openOffline();
  const rows = Array.from({ length: 16 }, (_, i) => new Tensor("float32", [1, mlpInputs], createMlpRow(i)));
  const apps = await Promise.all(
    placements.map(async (placement) => ({ placement, app: await compose(Mlp, { placement }) })),
  );
  for (const callers of callerCounts) {
    const drive = async (call: (row: (typeof rows)[0]) => Promise<unknown>): Promise<RowFigures> => {
      const { perSecond, p50 } = await driveLoops((loop) => call(rows[loop % rows.length] as never), callers, seconds);
      return { perSecond, p50: p50 / 1000 };
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
    grid.add(`${callers} callers`, await measureInTurn(contestants, rounds));
  }
  await Promise.all([...apps.map(({ app }) => app.close()), offline.close()]);
  reportHandle(grid, seconds, rounds);
}

const offlineName = (size: number) => `offline, ${size} rows a batch`;

function reportHandle(grid: Grid<RowFigures>, seconds: number, rounds: number): void {
  const load = "256 callers";
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
        `rows/s with 256 callers, ${placement} to offline at its best (${best} rows a batch)`,
        grid.ratio(load, "perSecond", [placement, offlineName(best)]),
        { atLeast: 0.9 },
        "x",
      ),
    ),
    setup: { seconds, rounds, model: "W5, one thread", rows: "one a call" },
  });
}
