// Measures load above capacity: goodput at twice and ten times the peak, and many connections.
import { measureConnections } from "./overload/connections.ts";
import { measureSurge } from "./overload/surge.ts";
import { pickParts, readSettings } from "./settings.ts";

const { seconds } = readSettings({ seconds: 7, rounds: 1 });
const parts = { surge: measureSurge, connections: measureConnections } as const;
for (const part of pickParts(Object.keys(parts) as (keyof typeof parts)[])) await parts[part](seconds);
