// Services that request resources of the machine. JavaScript, because it starts in a tenth of the time.
import { resourceLimits } from "node:worker_threads";
import { api, depends, Service } from "ekiben";
import { z } from "zod";

const text = { input: z.string(), output: z.string() };
const variables = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "CUDA_VISIBLE_DEVICES"];

/** Logs the resources of its replica, as the replica sees them. */
function logGrant({ resources, log }) {
  const env = Object.fromEntries(variables.map((name) => [name, process.env[name]]));
  const heapArguments = process.execArgv.filter((argument) => argument.includes("old-space"));
  log.info({ resources, env, heapArguments, threadHeapMiB: resourceLimits.maxOldGenerationSizeMb }, "granted");
}

export class InProcess extends Service({ resources: { cpu: 2, memory: "256Mi", gpu: 1 } }) {
  start = logGrant;
  run = api(text, (value) => value);
}
export class InThread extends Service({ placement: "thread", resources: { cpu: 2, memory: "256Mi", gpu: 1 } }) {
  start = logGrant;
  run = api(text, (value) => value);
}
export class Shared extends Service({ resources: { gpu: 0.5 } }) {
  start = logGrant;
  run = api(text, (value) => value);
}

/** Waits that a test ends by name. */
export class Gate extends Service() {
  #named = new Map();
  #of(name) {
    let named = this.#named.get(name);
    if (named === undefined) {
      named = {};
      named.promise = new Promise((resolve) => (named.resolve = resolve));
      this.#named.set(name, named);
    }
    return named;
  }
  wait = api(text, (name) => {
    this.#of(`reached ${name}`).resolve(name);
    return this.#of(name).promise;
  });
  reached = api(text, (name) => this.#of(`reached ${name}`).promise);
  open = api(text, (name) => {
    this.#of(name).resolve(name);
    return name;
  });
}

const place = z.object({ pid: z.number() });

export class Leaky extends Service({ resources: { memory: "192Mi" }, liveness: { intervalMs: 50 } }) {
  gate = depends(Gate);
  #kept = [];
  where = api({ output: place }, () => ({ pid: process.pid }));
  hold = api({ input: z.string(), output: place }, async (name) => {
    await this.gate.wait(name);
    return { pid: process.pid };
  });
  grow = api({ input: z.number(), output: z.number() }, (bytes) => this.#kept.push(Buffer.alloc(bytes, 1)));
}

export class Elastic extends Service({ replicas: { min: 1, max: 3, targetInFlight: 1 } }) {
  gate = depends(Gate);
  hold = api(text, (name) => this.gate.wait(name));
}

export class Machine extends Service() {
  inProcess = depends(InProcess);
  inThread = depends(InThread);
  shared = depends(Shared);
  gate = depends(Gate);
  leaky = depends(Leaky);
  elastic = depends(Elastic);

  reached = api(text, (name) => this.gate.reached(name));
  open = api(text, (name) => this.gate.open(name));
  whereLeaks = api({ output: place }, () => this.leaky.where());
  holdLeaky = api({ input: z.string(), output: place }, (name) => this.leaky.hold(name));
  grow = api({ input: z.number(), output: z.number() }, (bytes) => this.leaky.grow(bytes));
  holdElastic = api(text, (name) => this.elastic.hold(name));
}
