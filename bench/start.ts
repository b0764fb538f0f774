// Measures the time to import ekiben, the time until the quickstart answers, and the installed size.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Contestant, measureInTurn, median } from "./measure.ts";
import { listFiles, sizeOf, untilListening } from "./programs.ts";
import { createRow, createVerdict, report } from "./report.ts";
import { readSettings } from "./settings.ts";

const root = join(import.meta.dirname, "..");
const quickstart = join(root, "examples/quickstart/service.ts");
const { rounds } = readSettings({ seconds: 1, rounds: 11 });

const names = {
  node: "node, an empty program",
  fastify: "import fastify",
  ekiben: 'import "ekiben"',
  client: 'import "ekiben/client"',
  bare: "bare Fastify, until it listens",
  quickstart: "ekiben serve quickstart, until it listens",
} as const;

const bareServer = `
  const { default: Fastify } = await import("fastify");
  const fastify = Fastify();
  fastify.post("/", (request) => request.body);
  console.log(await fastify.listen({ port: 0 }));
`;
const contestants: Contestant[] = [
  { name: names.node, round: () => untilExit([]) },
  { name: names.fastify, round: () => importing("fastify") },
  { name: names.ekiben, round: () => importing("ekiben") },
  { name: names.client, round: () => importing("ekiben/client") },
  {
    name: names.bare,
    round: () => untilListening(["--input-type=module", "-e", bareServer], import.meta.dirname, "SIGKILL"),
  },
  {
    name: names.quickstart,
    round: () =>
      untilListening(
        [join(root, "dist/cli/main.js"), "serve", quickstart, "--port", "0"],
        import.meta.dirname,
        "SIGKILL",
      ),
  },
];
const figures = await measureInTurn(contestants, rounds);
const installed = measureInstalled();

const middle = (name: string) => median(figures.get(name) ?? []);
report("start", {
  rows: [
    ...contestants.map(({ name }) => createRow(name, "ms", figures.get(name) ?? [])),
    createRow("installed without peers", "MB", [installed.bytes / 1024 ** 2]),
    createRow("packages installed", "", [installed.packages]),
  ],
  verdicts: [
    createVerdict('import "ekiben"', middle(names.ekiben), { atMost: 150 }, "ms"),
    createVerdict("quickstart ready, from the start of its process", middle(names.quickstart), { atMost: 700 }, "ms"),
    createVerdict("installed size without peers", installed.bytes / 1024 ** 2, { atMost: 25 }, "MB"),
  ],
  setup: { rounds },
});

/** Measures the import alone, reported by the program itself. */
async function importing(specifier: string): Promise<number> {
  const program = `const begun = performance.now(); await import("${specifier}"); console.log(performance.now() - begun);`;
  return Number(execFileSync(process.execPath, ["--input-type=module", "-e", program], { cwd: import.meta.dirname }));
}

async function untilExit(program: readonly string[]): Promise<number> {
  const begun = performance.now();
  execFileSync(process.execPath, [...program, "-e", ""]);
  return performance.now() - begun;
}

/** Packs ekiben and installs it in an empty project. */
function measureInstalled(): { bytes: number; packages: number } {
  const project = mkdtempSync(join(tmpdir(), "ekiben-bench-"));
  try {
    const packed = execFileSync("npm", ["pack", "--json", "--pack-destination", project], { cwd: root });
    const [{ filename }] = JSON.parse(packed.toString()) as [{ filename: string }];
    writeFileSync(join(project, "package.json"), '{ "private": true }');
    execFileSync("npm", ["install", "--prefer-offline", "--ignore-scripts", "--no-audit", `./${filename}`], {
      cwd: project,
      stdio: "ignore",
    });
    const files = listFiles(join(project, "node_modules"));
    return {
      bytes: sizeOf(files),
      packages: files.filter((file) => /node_modules\/(@[^/]+\/)?[^/]+\/package\.json$/.test(file)).length,
    };
  } finally {
    rmSync(project, { recursive: true, force: true });
  }
}
