import { BroadcastChannel } from "node:worker_threads";
import { api, depends, Service } from "ekiben";
import { z } from "zod";

let starts = 0;
let stops = 0;

/** Records that a hook has begun, as `"start 1"` for the first start of all, and waits until a test lets it end. */
async function pass(hook) {
  const channel = new BroadcastChannel("ekiben-test-runtimes");
  const left = new Promise((resolve) => {
    channel.onmessage = ({ data }) => {
      if (data === `leave ${hook}`) resolve();
    };
  });
  channel.postMessage(`reach ${hook}`);
  await left;
  channel.close();
}

/** Its hooks run until a test ends them. */
export class Held extends Service() {
  start() {
    return pass(`start ${++starts}`);
  }
  stop() {
    return pass(`stop ${++stops}`);
  }
  run = api({ output: z.string() }, () => "held");
}

export class Plain extends Service() {
  held = depends(Held);
  run = api({ output: z.string() }, () => "plain");
}
