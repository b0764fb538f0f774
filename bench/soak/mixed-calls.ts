import { setTimeout as sleep } from "node:timers/promises";

const json = { "content-type": "application/json" };
const bytes = { "content-type": "application/octet-stream" };

interface Ask {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array<ArrayBuffer>;
  readonly pauseMs: number;
  /** Time after which its client leaves. */
  readonly leaveAfterMs?: number;
}

const numbers = Array.from({ length: 40_000 }, (_, i) => i / 8);
const asks: readonly Ask[] = [
  { path: "/upload", headers: bytes, body: new Uint8Array(8 * 1024 ** 2), pauseMs: 200 },
  { path: "/upload", headers: bytes, body: new Uint8Array(24 * 1024 ** 2), pauseMs: 1000, leaveAfterMs: 30 },
  { path: "/text", headers: json, body: JSON.stringify({ text: "ekiben, ".repeat(200_000) }), pauseMs: 200 },
  { path: "/vector", headers: json, body: JSON.stringify(numbers), pauseMs: 200 },
  { path: "/count", headers: json, body: '{"n":200}', pauseMs: 50 },
  { path: "/count", headers: json, body: '{"n":100000000}', pauseMs: 100, leaveAfterMs: 100 },
  { path: "/run", headers: json, body: '{"x":"not a number"}', pauseMs: 50 },
];

/**
 * Makes calls of each kind, one after another, until the time is over. @returns The number of calls of each kind by
 * result.
 */
export async function callBeside(url: string, isOver: () => boolean): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  await Promise.all(
    asks.map(async (ask) => {
      while (!isOver()) {
        const what = `${ask.path}, ${ask.leaveAfterMs === undefined ? "" : "left: "}${await send(url, ask)}`;
        counts.set(what, (counts.get(what) ?? 0) + 1);
        await sleep(ask.pauseMs);
      }
    }),
  );
  return counts;
}

async function send(url: string, { path, headers, body, leaveAfterMs }: Ask): Promise<string> {
  const signal = AbortSignal.timeout(leaveAfterMs ?? 60_000);
  try {
    const response = await fetch(`${url}${path}`, { method: "POST", headers, body, signal });
    for await (const _ of response.body ?? []) if (signal.aborted) break;
    return String(response.status);
  } catch {
    return signal.aborted ? "gone" : "connection lost";
  }
}
