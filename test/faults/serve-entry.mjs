// A program that calls serve() and whose entry service fails to restart.
import { serve } from "ekiben";
import { Entry } from "./entry.mjs";

const server = await serve(Entry, { port: 0, host: "127.0.0.1", options: { exitAfterMs: 300 } });
console.error(`ready at ${server.url}`);
const failure = await server.failed;
console.error(`failed with ${failure.id}`);
