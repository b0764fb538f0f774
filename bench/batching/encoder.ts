// The sentence encoder of the examples, with eight callers of one text each: the gain from batching depends on the
// texts.
import { compose } from "ekiben/testing";
import { driveLoops } from "../closed-loops.ts";
import { Grid } from "../grid.ts";
import { measureInTurn } from "../measure.ts";
import { createVerdict, report } from "../report.ts";
import { Encoder } from "../workloads/encoder.ts";

const callers = 8;
const texts = {
  "short texts": Array.from({ length: callers }, (_, i) => `where is train number ${i}`),
  "long texts of unequal length": Array.from({ length: callers }, (_, i) =>
    "it was the best of times and it was the worst of times ".repeat(2 + 3 * i),
  ),
} as const;

/** Result of one round. */
type TextFigures = { readonly perSecond: number; readonly p50: number };

export async function measureEncoder(seconds: number, rounds: number): Promise<void> {
  const grid = new Grid<TextFigures>({ perSecond: ["texts", "/s"], p50: ["p50", "ms"] });
  const app = await compose(Encoder, { placement: "process" });
  /** Upper bound of the gain: texts that are already joined. */
  const driveAlone = async (call: () => Promise<unknown>, count: number): Promise<TextFigures> => {
    const { perSecond, p50 } = await driveLoops(call, 1, seconds);
    return { perSecond: perSecond * count, p50: p50 / 1000 };
  };
  for (const [load, list] of Object.entries(texts)) {
    for (const count of [1, callers]) {
      const drive = async (call: (text: string) => Promise<unknown>): Promise<TextFigures> => {
        const { perSecond, p50 } = await driveLoops((loop) => call(list[loop] as string), count, seconds);
        return { perSecond, p50: p50 / 1000 };
      };
      const contestants = [
        { name: "batched", round: () => drive((text) => app.entry.embed([text])) },
        { name: "no batching", round: () => drive((text) => app.entry.embedOne(text)) },
        {
          name: "one caller with all texts",
          round: () => driveAlone(() => app.entry.embed(list.slice(0, count)), count),
        },
      ];
      grid.add(`${load}, ${count} at once`, await measureInTurn(contestants, rounds));
    }
  }
  await app.close();
  const ratios = grid.compare(
    ["perSecond", "p50"],
    [
      ["batched", "no batching"],
      ["batched", "one caller with all texts"],
    ],
  );
  const gain = (load: keyof typeof texts, rival = "no batching") =>
    grid.ratio(`${load}, ${callers} at once`, "perSecond", ["batched", rival]);
  report("batching-encoder", {
    rows: [...grid.rows, ...ratios.rows],
    tables: [grid.table, ratios.table],
    verdicts: [
      createVerdict("texts/s, eight short texts, batched to not", gain("short texts"), { atLeast: 2 }, "x"),
      createVerdict(
        "texts/s, eight short texts, batched to one caller with all of them",
        gain("short texts", "one caller with all texts"),
        { atLeast: 0.9 },
        "x",
      ),
      createVerdict(
        "texts/s, eight long texts of unequal length, batched to not",
        gain("long texts of unequal length"),
        { atLeast: 0.9 },
        "x",
      ),
    ],
    setup: { seconds, rounds, model: "Universal Sentence Encoder lite, TensorFlow.js on WebAssembly", callers },
  });
}
