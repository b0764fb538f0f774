// Measures documents a second of a real graph, four models behind one api, by placement.
import { readExpected, readPage } from "@ekiben/example-document-intake/pages";
import { DocumentIntake } from "@ekiben/example-document-intake/service";
import { compose } from "ekiben/testing";
import { driveLoops } from "./closed-loops.ts";
import { type Placement, placements } from "./ekiben-command.ts";
import { Grid } from "./grid.ts";
import { measureInTurn } from "./measure.ts";
import { report } from "./report.ts";
import { readSettings } from "./settings.ts";

const { seconds, rounds } = readSettings({ seconds: 10, rounds: 5 });
/**
 * Placements. The entry stays in the bench, as it stays with the HTTP server of a replica. Its small language model
 * keeps the placement of its author.
 */
const placed = ["PictureDecoder", "TextDetector", "TextRecognizer", "DocClassifier"];
const pages = await Promise.all(
  (await readExpected()).map(async ({ page, label }) => ({ name: page, label, page: await readPage(page) })),
);

/** Result of one round; times in milliseconds. */
type PageFigures = { readonly perSecond: number; readonly p50: number; readonly cpu: number };

const grid = new Grid<PageFigures>({
  perSecond: ["documents", "/s"],
  p50: ["p50", "ms"],
  cpu: ["CPU a document", "ms"],
});
const apps = [];
for (const placement of placements) apps.push(await startIntake(placement));
for (const loops of [1, 4]) {
  const contestants = apps.map(({ name, read }) => ({ name, round: () => measureRound(read, loops) }));
  grid.add(`${loops} at once`, await measureInTurn(contestants, rounds));
}
await Promise.all(apps.map(({ close }) => close()));

const ratios = grid.compare(
  ["perSecond", "p50", "cpu"],
  [
    ["process", "inline"],
    ["thread", "inline"],
  ],
);
report("pages", {
  rows: [...grid.rows, ...ratios.rows],
  tables: [grid.table, ratios.table],
  verdicts: [],
  setup: { seconds, rounds, example: "document-intake", placed, pages: pages.length },
});

async function measureRound(read: () => Promise<void>, loops: number): Promise<PageFigures> {
  const { perSecond, p50, cpu } = await driveLoops(read, loops, seconds);
  return { perSecond, p50: p50 / 1000, cpu: cpu / 1000 };
}

async function startIntake(placement: Placement) {
  const services = Object.fromEntries(placed.map((service) => [service, { placement }]));
  const app = await compose(DocumentIntake, { options: { services } });
  let next = 0;
  const read = async () => {
    const { page, label, name } = pages[next++ % pages.length] as (typeof pages)[number];
    const answer = await app.entry.read({ page });
    if (answer.label !== label) throw new Error(`${name} was taken for ${answer.label}`);
  };
  for (const _ of pages) await read();
  return { name: placement, read, close: () => app.close() };
}
