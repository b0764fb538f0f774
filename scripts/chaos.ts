// Kills replicas of a chain of services under load until a promise is broken.   npm run chaos -- [seconds] [seed]
//
// The same seed makes the same requests and kills again, as far as the machine allows: npm run chaos -- 60 <seed>
import { runChaos } from "../test/chaos/chaos.js";

const seconds = Number(process.argv[2] ?? 60);
const seed = Number(process.argv[3] ?? Math.floor(Math.random() * 2 ** 31));
/** Duration of one storm. Between two storms, everything must be as before. */
const stormMs = 15_000;

const count = Math.max(3, Math.round((seconds * 1000) / stormMs));
await runChaos({ seed, storms: Array<number>(count).fill((seconds * 1000) / count), print: console.log });
