// The other side of the raw limit by thread: sends back what comes.
import { parentPort } from "node:worker_threads";

parentPort?.on("message", (message) => parentPort?.postMessage(message));
