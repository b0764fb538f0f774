// More load than there is room for: what is still answered at twice and ten times the peak, and whether many connections are.
import { measureConnections } from "./overload/connections.ts";
import { measureSurge } from "./overload/surge.ts";
import { pickParts, readSettings } from "./settings.ts";

const { seconds } = readSettings({ seconds: 7, rounds: 1 });
const parts = { surge: measureSurge, connections: measureConnections } as const;
for (const part of pickParts(Object.keys(parts) as (keyof typeof parts)[])) await parts[part](seconds);
