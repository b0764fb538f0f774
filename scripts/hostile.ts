// Attacks an app under load with bodies, mistakes of authors and system faults.   npm run hostile -- [minutes] [seed]
//
// Each round prints its seed; the same seed makes the same attacks again: npm run hostile -- 0.5 <seed>
import { runHostile } from "../test/hostile/hostile.js";

const minutes = Number(process.argv[2] ?? 5);
const seed = Number(process.argv[3] ?? Math.floor(Math.random() * 2 ** 31));
const roundMs = 30_000;

const count = Math.max(1, Math.round((minutes * 60_000) / roundMs));
const rounds = Array<number>(count).fill(roundMs);
console.log(`${count} rounds of ${roundMs / 1000} s from seed ${seed}`);
await runHostile({ seed, rounds, stallMs: 250, print: console.log });
