import { createEkibenCommand } from "../ekiben-command.ts";
import { findFreePorts } from "../free-ports.ts";
import { driveHttp, loadTool } from "../load.ts";
import { createRow, createVerdict, report } from "../report.ts";
import { ServerProcess } from "../server-process.ts";

const counts = [64, 1024, 2048];

/** Opens many connections to a trivial api of two hops: their number alone must cause no refusal. */
export async function measureConnections(seconds: number): Promise<void> {
  const [port = 0] = await findFreePorts(1);
  await using server = await ServerProcess.start(createEkibenCommand({ file: "w1", placement: "process", port }));
  const bodies = ['{"text":"hello"}'];
  const load = { url: `${server.url}/run`, bodies, seconds };
  await driveHttp({ ...load, connections: 16 });
  const rows = [];
  const verdicts = [];
  for (const connections of counts) {
    const result = await driveHttp({ ...load, connections });
    rows.push(createRow(`${connections} connections`, "/s", [result.requests / result.seconds]));
    rows.push(createRow(`${connections} connections: p99`, "ms", [result.p99Ms]));
    verdicts.push(createVerdict(`${connections} connections: failed`, result.failed, { atMost: 0 }, "requests"));
  }
  report("overload-connections", { rows, verdicts, setup: { seconds, loadTool, workload: "workloads/w1.ts" } });
}
