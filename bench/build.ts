// Measures `ekiben build` of all examples, the same again without a change, and how soon a service is ready from its
// build and from its TypeScript.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { measureInTurn, median } from "./measure.ts";
import { listFiles, sizeOf, untilListening } from "./programs.ts";
import { createRow, createVerdict, report } from "./report.ts";
import { readSettings } from "./settings.ts";

const root = join(import.meta.dirname, "..");
const command = join(root, "dist/cli/main.js");
const examples = ["quickstart", "document-intake", "spam-vote", "voice-activity", "support-desk", "poster-search"];
const { rounds } = readSettings({ seconds: 1, rounds: 7 });
const builds = mkdtempSync(join(tmpdir(), "ekiben-bench-build-"));

/** Builds every example, one after the other, each by a command of its own. @returns Milliseconds. */
function buildAll(args: readonly string[]): number {
  const begun = performance.now();
  for (const name of examples) {
    execFileSync(process.execPath, [command, "build", "service.ts", "--out", join(builds, name, "build"), ...args], {
      cwd: join(root, "examples", name),
      stdio: ["ignore", "ignore", "pipe"],
    });
  }
  return performance.now() - begun;
}

const names = {
  fresh: "build of all examples",
  again: "unchanged again",
  source: "quickstart ready, from TypeScript",
  built: "quickstart ready, from its build",
} as const;
try {
  const figures = await measureInTurn(
    [
      {
        name: names.fresh,
        round: async () => {
          for (const name of examples) rmSync(join(builds, name), { recursive: true, force: true });
          return buildAll([]);
        },
      },
      { name: names.again, round: async () => buildAll([]) },
      {
        name: names.source,
        round: () =>
          untilListening(
            [command, "serve", join(root, "examples/quickstart/service.ts"), "--port", "0"],
            builds,
            "SIGTERM",
          ),
      },
      {
        name: names.built,
        round: () => untilListening([join(builds, "quickstart/build/start.mjs"), "--port", "0"], builds, "SIGTERM"),
      },
    ],
    rounds,
  );
  const middle = (name: string) => median(figures.get(name) ?? []);
  const ratio = median(
    (figures.get(names.built) ?? []).map((ms, round) => ms / (figures.get(names.source)?.[round] ?? Number.NaN)),
  );
  const gateway = sizeOf(listFiles(join(builds, "document-intake/build/DocumentIntake"))) / 1e6;
  report("build", {
    rows: [
      ...Object.values(names).map((name) => createRow(name, "ms", figures.get(name) ?? [])),
      createRow("folder of the gateway of document-intake", "MB", [gateway]),
    ],
    verdicts: [
      createVerdict(names.fresh, middle(names.fresh), { atMost: 10_000 }, "ms"),
      createVerdict(names.again, middle(names.again), { atMost: 2000 }, "ms"),
      createVerdict("ready from its build, as a share of its TypeScript", ratio, { atMost: 0.6 }, "x"),
      createVerdict("folder of the gateway of document-intake", gateway, { atMost: 2 }, "MB"),
    ],
    setup: { rounds },
  });
} finally {
  rmSync(builds, { recursive: true, force: true });
}
