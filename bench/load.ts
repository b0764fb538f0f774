// Drives HTTP load with wrk, or with autocannon if wrk is not installed: autocannon uses several times the CPU.
import { execFile, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

/** Load to send: POST, JSON. */
export interface Load {
  readonly url: string;
  /** Bodies, sent in turn. */
  readonly bodies: readonly string[];
  readonly connections: number;
  /** Duration; wrk rounds it up to whole seconds. */
  readonly seconds: number;
}

/** Result of a load. */
export interface LoadResult {
  /** Number of answers with status 2xx. */
  readonly requests: number;
  readonly seconds: number;
  /** Number of answers with other statuses, and of requests without an answer. */
  readonly failed: number;
  /** Latencies of all answers, also of failures. */
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const hasWrk = spawnSync("wrk", ["-v"]).error === undefined;
if (!hasWrk) {
  console.warn("wrk is not installed (apt-get install wrk); autocannon takes its place and CPU from the servers");
}

/** Name of the program; stored with the figures. */
export const loadTool = hasWrk ? "wrk" : "autocannon";

export const driveHttp = (load: Load): Promise<LoadResult> => (hasWrk ? driveWithWrk(load) : driveWithAutocannon(load));

const timeoutSeconds = 20;

async function driveWithWrk(load: Load): Promise<LoadResult> {
  const folder = mkdtempSync(join(tmpdir(), "ekiben-bench-"));
  try {
    const script = join(folder, "post.lua");
    writeFileSync(script, formatScript(load));
    const flags = [
      "-t1",
      `-c${load.connections}`,
      `-d${Math.ceil(load.seconds)}s`,
      `--timeout=${timeoutSeconds}s`,
      "-s",
      script,
    ];
    const { stdout } = await promisify(execFile)("wrk", [...flags, load.url]);
    const [, result] = /^RESULT (.*)$/m.exec(stdout) ?? [];
    if (result === undefined) throw new Error(`wrk said nothing of its result: ${stdout}`);
    return JSON.parse(result) as LoadResult;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Makes a wrk script that sends the bodies in turn and ends with one line of JSON: a `LoadResult`. */
function formatScript({ bodies }: Load): string {
  return `
    wrk.method = "POST"
    wrk.headers["content-type"] = "application/json"
    local bodies = { ${bodies.map((body) => `[=[${body}]=]`).join(", ")} }
    local requests, next = {}, 0
    init = function()
      for i, body in ipairs(bodies) do requests[i] = wrk.format(nil, nil, nil, body) end
    end
    request = function()
      next = next % #requests + 1
      return requests[next]
    end
    done = function(summary, latency)
      local errors = summary.errors
      local failed = errors.status + errors.connect + errors.read + errors.write + errors.timeout
      io.write(string.format('RESULT {"requests":%d,"seconds":%f,"failed":%d,"p50Ms":%.3f,"p99Ms":%.3f}\\n',
        summary.requests - errors.status, summary.duration / 1e6, failed,
        latency:percentile(50) / 1000, latency:percentile(99) / 1000))
    end
  `;
}

async function driveWithAutocannon({ url, bodies, connections, seconds }: Load): Promise<LoadResult> {
  const { default: autocannon } = await import("autocannon");
  const headers = { "content-type": "application/json" };
  const requests = bodies.map((body) => ({ method: "POST", headers, body }) as const);
  const result = await autocannon({ url, requests, connections, duration: seconds, timeout: timeoutSeconds });
  return {
    requests: result["2xx"],
    seconds: result.duration,
    failed: result.non2xx + result.errors,
    p50Ms: result.latency.p50,
    p99Ms: result.latency.p99,
  };
}
