// Measures the cost of a call through a chain of services, over HTTP: as processes, in one group, inline.
import { type EkibenServer, startEkiben } from "./ekiben-command.ts";
import { Grid, type Pair } from "./grid.ts";
import { driveHttp, loadTool } from "./load.ts";
import { measureInTurn } from "./measure.ts";
import { readCpuMicros } from "./processes.ts";
import { createVerdict, report } from "./report.ts";
import type { ServerProcess } from "./server-process.ts";
import { readSettings } from "./settings.ts";

const { seconds, rounds } = readSettings({ seconds: 2, rounds: 7 });
const body = JSON.stringify({ text: "hello" });
const lengths = [1, 4, 16] as const;

const ways: Readonly<Record<string, Pick<EkibenServer, "placement" | "flags">>> = {
  process: { placement: "process" },
  "one group": { placement: "process", flags: ["--group", "all"] },
  inline: { placement: "inline" },
};

const grid = new Grid({ p50: ["p50", "us"], perSecond: ["requests", "/s"], cpu: ["CPU a request", "us"] });
for (const length of lengths) {
  const servers = await Promise.all(
    Object.entries(ways).map(async ([name, way]) => {
      const server = await startEkiben({ file: "deep-chain", ...way, env: { N: String(length) } });
      return { name, server };
    }),
  );
  for (const connections of [1, 16]) {
    const contestants = servers.map(({ name, server }) => ({ name, round: () => drive(server, connections) }));
    grid.add(`${length} services, ${connections} at once`, await measureInTurn(contestants, rounds));
  }
  await Promise.all(servers.map(({ server }) => server.stop()));
}

const pair: Pair = ["one group", "inline"];
const ratios = grid.compare(["p50", "perSecond", "cpu"], [pair, ["process", "inline"]]);
const claim = (figure: "p50" | "cpu", connections: number) => {
  const load = `16 services, ${connections} at once`;
  return createVerdict(`${load}: ${figure}, one group to inline`, grid.ratio(load, figure, pair), { atMost: 1.2 }, "x");
};
report("chain", {
  rows: [...grid.rows, ...ratios.rows],
  tables: [grid.table, ratios.table],
  verdicts: [claim("p50", 1), claim("cpu", 1), claim("p50", 16), claim("cpu", 16)],
  setup: { seconds, rounds, load: loadTool, group: "all services of the chain, the entry too" },
});

async function drive(server: ServerProcess, connections: number) {
  const pids = server.listProcesses();
  const before = readCpuMicros(pids);
  const result = await driveHttp({ url: `${server.url}/run`, bodies: [body], connections, seconds });
  if (result.failed > 0) throw new Error(`${result.failed} requests failed`);
  const cpu = (readCpuMicros(pids) - before) / result.requests;
  return { p50: result.p50Ms * 1000, perSecond: result.requests / result.seconds, cpu };
}
