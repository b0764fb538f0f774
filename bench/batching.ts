// Measures the gain from joining rows of several calls: W5 over HTTP beside rivals, W5 through a handle, and a sentence
// encoder.
import { measureEncoder } from "./batching/encoder.ts";
import { measureHandle } from "./batching/handle.ts";
import { measureHttp } from "./batching/http.ts";
import { pickParts, readSettings } from "./settings.ts";

const { seconds, rounds } = readSettings({ seconds: 4, rounds: 5 });
const parts = { http: measureHttp, handle: measureHandle, encoder: measureEncoder } as const;
for (const part of pickParts(Object.keys(parts) as (keyof typeof parts)[])) await parts[part](seconds, rounds);
