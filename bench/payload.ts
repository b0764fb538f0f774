// Measures large values between processes, beside a raw socket that carries the same bytes, and the memory of an
// upload.
import { createReadStream, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startEkiben } from "./ekiben-command.ts";
import { divideByRound, median } from "./measure.ts";
import { readMemory, readPeakMiB } from "./processes.ts";
import { createRow, createVerdict, type Row, report, type Verdict } from "./report.ts";
import { createRawCopy } from "./rivals/raw-copy.ts";
import type { ServerProcess } from "./server-process.ts";
import { isDryRun, pickParts, readSettings } from "./settings.ts";
import type { kinds } from "./workloads/payload.ts";

const { rounds } = readSettings({ seconds: 1, rounds: 5 });
const parts = pickParts(["hop", "chain", "upload"] as const);
const uploadBytes = 100_000_000;
const chainBytes = 6_000_000;

type Kind = (typeof kinds)[number];

/** Calls of a round: about as many bytes for each kind. */
const timesOf = (bytes: number) => (isDryRun ? 2 : Math.min(100, Math.max(3, Math.round(40_000_000 / bytes))));

const hops: readonly (readonly [Kind, number])[] = [
  ...[10_000, 100_000, 1_000_000, 10_000_000].map((bytes) => ["text", bytes] as const),
  ["wide", 10_000_000],
  ...[65_536, 1_048_576, 6_000_000, 16_777_216].map((bytes) => ["tensor", bytes] as const),
  ["file", 100_000_000],
];

const rows: Row[] = [];
const verdicts: Verdict[] = [];
const names = {
  text: "text",
  wide: "text of two-byte characters",
  tensor: "tensor",
  chain: "chain",
  file: "file",
} as const;
const sizeOf = (bytes: number) => (bytes < 1_000_000 ? `${bytes / 1000} kB` : `${Math.round(bytes / 100_000) / 10} MB`);

if (parts.includes("hop")) {
  await using server = await startEkiben({ file: "payload", placement: "process" });
  const raw = await createRawCopy();
  for (const [kind, bytes] of hops) {
    const own: number[] = [];
    const limit: number[] = [];
    const times = timesOf(bytes);
    for (let round = 0; round <= rounds; round++) {
      own.push(median(await timeHop(server, kind, bytes, times)));
      limit.push(median(await raw.time(bytes, times)));
    }
    const what = `${names[kind]} of ${sizeOf(bytes)}`;
    rows.push(createRow(what, "ms", own.slice(1)), createRow(`${what}, raw socket`, "ms", limit.slice(1)));
    const ratios = divideByRound(own.slice(1), limit.slice(1));
    rows.push(createRow(`${what}, to a raw socket`, "x", ratios));
    if (kind === "text" && bytes === 10_000_000) {
      verdicts.push(createVerdict(`a ${what}, to a raw socket`, median(ratios), { atMost: 1.5 }, "x"));
    }
  }
  raw.close();
}

if (parts.includes("chain")) {
  await using server = await startEkiben({ file: "payload", placement: "process" });
  const figures: Record<"tensor" | "chain", number[]> = { tensor: [], chain: [] };
  let decoded: Record<string, number> = {};
  for (let round = 0; round <= rounds; round++) {
    for (const kind of ["tensor", "chain"] as const) {
      const before = await readDecoded(server);
      figures[kind].push(median(await timeHop(server, kind, chainBytes, timesOf(chainBytes))));
      if (kind === "chain") decoded = subtract(await readDecoded(server), before);
    }
  }
  const [hop, chain] = [figures.tensor.slice(1), figures.chain.slice(1)];
  const ratios = divideByRound(chain, hop);
  const middle = ["First", "Second", "Third"].reduce((sum, name) => sum + (decoded[name] ?? Number.NaN), 0);
  rows.push(
    createRow("tensor of 6 MB, one hop", "ms", hop),
    createRow("tensor of 6 MB through four processes", "ms", chain),
    createRow("tensor of 6 MB through four processes, to one hop", "x", ratios),
  );
  verdicts.push(
    createVerdict("6 MB through four processes, to one hop", median(ratios), { atMost: 1.5 }, "x"),
    createVerdict("bytes of it that the three in the middle read", middle, { atMost: 0 }, "bytes"),
  );
}

if (parts.includes("upload")) {
  const folder = mkdtempSync(join(tmpdir(), "ekiben-bench-"));
  const path = join(folder, "upload.bin");
  writeFileSync(path, Buffer.alloc(uploadBytes, "ekiben"));
  try {
    const plain = await measureUploads("plain", path);
    const hop = await measureUploads("upload", path);
    const ratio = median(hop.ms) / median(plain.ms);
    rows.push(
      createRow("upload of 100 MB, no hop", "ms", plain.ms),
      createRow("upload of 100 MB, one hop", "ms", hop.ms),
      createRow("memory of all processes above idle, no hop", "MiB", plain.aboveIdleMiB),
      createRow("memory of all processes above idle, one hop", "MiB", hop.aboveIdleMiB),
    );
    verdicts.push(
      createVerdict("an upload of 100 MB over one hop, to one without", ratio, { atMost: 1.5 }, "x"),
      createVerdict("peak of all processes above idle", median(hop.aboveIdleMiB), { atMost: 250 }, "MB"),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

report("payload", {
  rows,
  verdicts,
  setup: {
    rounds,
    raw: "a copy of the bytes over a Unix socket to another process, answered by one byte",
    memory: "sum over all processes of VmHWM less what was resident before; uploads themselves lie on the disk",
  },
});

async function timeHop(server: ServerProcess, kind: Kind, bytes: number, times: number): Promise<number[]> {
  const response = await fetch(`${server.url}/time`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ kind, bytes, times }),
  });
  if (!response.ok) throw new Error(await response.text());
  return (await response.json()) as number[];
}

/** Returns the bytes that each service has read of its input. */
async function readDecoded(server: ServerProcess): Promise<Record<string, number>> {
  const page = await (await fetch(`${server.url}/metrics`)).text();
  const found = page.matchAll(/^ekiben_decoded_bytes_total\{service="(\w+)"\} (\S+)$/gm);
  return Object.fromEntries([...found].map(([, service, bytes]) => [service, Number(bytes)]));
}

function subtract(now: Record<string, number>, before: Record<string, number>): Record<string, number> {
  return Object.fromEntries(Object.entries(now).map(([name, bytes]) => [name, bytes - (before[name] ?? 0)]));
}

/** Starts a server for this figure alone, because the system reports only the maximum of a process's whole life. */
async function measureUploads(api: "plain" | "upload", path: string) {
  await using server = await startEkiben({ file: "payload", placement: "process" });
  const idle = server.listProcesses().reduce((sum, pid) => sum + (readMemory(pid)?.rssMiB ?? 0), 0);
  const ms: number[] = [];
  const aboveIdleMiB: number[] = [];
  for (let round = 0; round <= rounds; round++) {
    const begun = performance.now();
    await sendFile(`${server.url}/${api}`, path);
    if (round > 0) ms.push(performance.now() - begun);
    const peak = server.listProcesses().reduce((sum, pid) => sum + readPeakMiB(pid), 0);
    if (round > 0) aboveIdleMiB.push(peak - idle);
  }
  return { ms, aboveIdleMiB };
}

function sendFile(url: string, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/octet-stream", "content-length": uploadBytes };
    const sent = request(url, { method: "POST", headers }, (response) => {
      response.resume();
      response.on("end", () =>
        response.statusCode === 200 ? resolve() : reject(new Error(`it answers ${response.statusCode}`)),
      );
    });
    sent.on("error", reject);
    createReadStream(path, { highWaterMark: 1024 ** 2 }).pipe(sent);
  });
}
