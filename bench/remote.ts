// Measures one hop to another app over TLS beside the hop over a Unix socket and a bare TLS socket, and the cost of
// choosing among 20 addresses.
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { compose } from "ekiben/testing";
import { type CallFigures, callUnits, driveLoops } from "./closed-loops.ts";
import { Grid } from "./grid.ts";
import { measureInTurn, median } from "./measure.ts";
import { createRow, createVerdict, report } from "./report.ts";
import { connectRawTls } from "./rivals/raw-tls.ts";
import { readSettings } from "./settings.ts";
import { Caller, largeBytes } from "./workloads/remote.ts";

const { seconds, rounds } = readSettings({ seconds: 2, rounds: 7 });
const names = { tls: "ekiben, TLS", socket: "ekiben, Unix socket", raw: "raw: framed TLS socket" } as const;

const folder = mkdtempSync(join(tmpdir(), "ekiben-bench-"));
const edgeKeyFile = join(folder, "edge.key");
writeFileSync(edgeKeyFile, randomBytes(32).toString("base64"), { mode: 0o600 });
const callee = spawn(process.execPath, [
  fileURLToPath(new URL("../dist/cli/main.js", import.meta.url)),
  ...["serve", fileURLToPath(import.meta.resolve("./workloads/remote.ts")), "--service", "Echo"],
  ...["--listen", "127.0.0.1:0", "--edge-key-file", edgeKeyFile, "--log-level", "silent"],
]);
let printed = "";
callee.stderr.on("data", (chunk: Buffer) => (printed += chunk));
let at: string | undefined;
while (at === undefined) {
  await once(callee.stderr, "data");
  at = /tls:\/\/127\.0\.0\.1:\d+/.exec(printed)?.[0];
}

const near = await compose(Caller, { options: { services: { Echo: { placement: "process" } } } });
const far = await compose(Caller, { options: { edgeKeyFile, services: { Echo: { at } } } });
const raw = await connectRawTls(randomBytes(32).toString("hex"));
const bytes = { small: randomBytes(24), large: randomBytes(largeBytes) };

const grid = new Grid<CallFigures>(callUnits);
const loads = { small: [1, 16], large: [1, 4] } as const;
const titles = { small: "small", large: "6 MB" } as const;
for (const message of ["small", "large"] as const) {
  for (const loops of loads[message]) {
    const contestants = [
      { name: names.tls, round: () => far.entry.drive({ message, loops, seconds }) },
      { name: names.socket, round: () => near.entry.drive({ message, loops, seconds }) },
      { name: names.raw, round: () => driveLoops(() => raw.call(bytes[message]), loops, seconds) },
    ];
    grid.add(`${titles[message]}, ${loops} at once`, await measureInTurn(contestants, rounds));
  }
}
raw.close();
await far.close();
await near.close();

const choice = await measureChoice();
callee.kill("SIGTERM");
await once(callee, "close");
rmSync(folder, { recursive: true });

const bySocket = [names.tls, names.socket] as const;
const byRaw = [names.tls, names.raw] as const;
const ratios = grid.compare(["p50", "perSecond", "cpu"], [bySocket, byRaw]);
const targets = [
  ["small, 1 at once", "p50", bySocket, { atMost: 1.5 }],
  ["small, 16 at once", "perSecond", bySocket, { atLeast: 0.6 }],
  ["6 MB, 4 at once", "perSecond", byRaw, { atLeast: 0.7 }],
] as const;
report("remote", {
  rows: [...grid.rows, ...ratios.rows, choice.row],
  tables: [grid.table, ratios.table],
  verdicts: [
    ...targets.map(([load, figure, pair, bound]) =>
      createVerdict(
        `${load}: ${callUnits[figure][0]}, ${pair[0]} to ${pair[1]}`,
        grid.ratio(load, figure, pair),
        bound,
        "x",
      ),
    ),
    createVerdict(choice.row.what, choice.row.value, { atMost: 5 }, "%"),
  ],
  setup: { seconds, rounds, cipher: "TLS_AES_128_GCM_SHA256, edge key" },
});

/** Measures the share of a core that choosing a replica takes at 10,000 calls a second to 20 addresses. */
async function measureChoice() {
  const { pickOfTwo } = (await import(
    new URL("../dist/handle/balance.js", import.meta.url).href
  )) as typeof import("../src/handle/balance.ts");
  const links = Array.from({ length: 20 }, (_, i) => ({ replica: `r${i}`, inFlight: i % 3, burden: (i % 7) / 10 }));
  const picks = 200_000;
  const nanoseconds = Array.from({ length: rounds }, () => {
    const begun = performance.now();
    for (let i = 0; i < picks; i++) pickOfTwo(links as never, [], Math.random);
    return ((performance.now() - begun) * 1e6) / picks;
  });
  const shares = nanoseconds.map((ns) => (ns * 10_000 * 100) / 1e9);
  return {
    row: createRow("choosing among 20 replicas at 10,000 calls/s, of a core", "%", shares),
    value: median(shares),
  };
}
