// Sends tiny requests to an app all the time, and to a bare server in a thread of this process. A process of its own,
// because the process that runs the attacks is busy.
// Usage: node stall-main.mjs <url of the app> <file of pids> <replica that answers>
// Ends when stdin ends; prints what it has seen.
import { readFileSync } from "node:fs";
import { Agent, createServer, request } from "node:http";
import { isMainThread, parentPort, Worker } from "node:worker_threads";

const pauseMs = 15;
const limitMs = 60_000;

if (isMainThread) await watch(...process.argv.slice(2));
else serve();

function serve() {
  const server = createServer((incoming, response) => {
    incoming.resume();
    incoming.on("end", () => response.end("1"));
  });
  server.listen(0, "127.0.0.1", () => parentPort.postMessage(server.address().port));
}

async function watch(url, pids, replica) {
  const witness = new Worker(new URL(import.meta.url));
  const port = await new Promise((resolve) => witness.once("message", resolve));
  let isOver = false;
  process.stdin.resume().on("end", () => {
    isOver = true;
  });
  const ask = async (base) => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const asked = [];
    while (!isOver) {
      const pid = readPid(pids, replica);
      const before = readWaitedMs(pid);
      const at = performance.timeOrigin + performance.now();
      const problem = await askOnce(base, agent);
      const tookMs = performance.timeOrigin + performance.now() - at;
      asked.push({ at, tookMs, problem, waitedMs: Math.max(0, readWaitedMs(pid) - before) });
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
    agent.destroy();
    return asked;
  };
  console.log("watching");
  const [app, bare] = await Promise.all([ask(url), ask(`http://127.0.0.1:${port}`)]);
  console.log(JSON.stringify({ app, bare }));
  await witness.terminate();
}

/** Returns the current process of a replica: the last line with its name in the file. */
function readPid(file, replica) {
  const lines = readFileSync(file, "utf8").split("\n");
  return lines.findLast((line) => line.startsWith(`${replica} `))?.split(" ")[1];
}

/** Returns how long the main thread of a process has waited for a CPU; 0 when the system does not report it. */
function readWaitedMs(pid) {
  try {
    return Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, "utf8").split(" ")[1]) / 1e6;
  } catch {
    return 0;
  }
}

/** Checks an answer. @returns The problem; nothing for a correct answer. */
function askOnce(base, agent) {
  return new Promise((resolve) => {
    const headers = { "content-type": "application/json", "content-length": 1 };
    const sent = request(`${base}/ping`, { method: "POST", agent, headers, timeout: limitMs }, (response) => {
      let text = "";
      response.on("data", (chunk) => (text += chunk));
      response.on("error", (error) => resolve(error.message));
      response.on("end", () => resolve(text === "1" ? undefined : `${response.statusCode} ${text}`));
    });
    sent.on("timeout", () => sent.destroy(new Error(`no answer within ${limitMs} ms`)));
    sent.on("error", (error) => resolve(error.message));
    sent.end("1");
  });
}
