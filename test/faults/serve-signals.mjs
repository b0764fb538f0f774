// A program that calls serve() and leaves its signals to the server.
import { serve } from "ekiben";
import { Waiting } from "./waiting.mjs";

const server = await serve(Waiting, { port: 0, host: "127.0.0.1", signals: true });
console.error(`ready at ${server.url}`);
