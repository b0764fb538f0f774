// An entry service that ends, fails to restart, or never answers, on request of a test.
import { existsSync, writeFileSync } from "node:fs";
import { api, depends, Service } from "ekiben";
import { z } from "zod";

const text = { input: z.string(), output: z.string() };
const pid = { output: z.number() };

/** Keeps running whatever happens to the entry service. */
export class Other extends Service() {
  where = api(pid, () => process.pid);
}

/** Fails its next start while the file named by BROKEN exists. */
export class Entry extends Service({
  restart: { backoffMs: 1, maxBackoffMs: 1, giveUpAfter: 2, slowBackoffMs: 1500 },
}) {
  other = depends(Other);

  start() {
    if (existsSync(process.env["BROKEN"] ?? "")) throw new Error("the weights are gone");
  }
  where = api(pid, () => process.pid);
  whereOther = api(pid, () => this.other.where());
  end = api(text, () => process.exit(3));
}

/** Computes without a pause on request. */
export class Busy extends Service({ liveness: { intervalMs: 50, suspendAfterMs: 300, replaceAfterMs: 1000 } }) {
  compute = api(text, () => {
    for (;;);
  });
}

export class Front extends Service() {
  busy = depends(Busy);
  compute = api(text, (value) => this.busy.compute(value));
}

/** Its call never ends and ignores its signal; its stop() leaves a file. */
export class Endless extends Service() {
  wait = api(text, async () => {
    console.error("waiting");
    return new Promise(() => {});
  });
  stop() {
    writeFileSync(process.env["STOPPED"], "");
  }
}
