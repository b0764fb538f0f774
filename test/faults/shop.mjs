// Services whose start or readiness fails on request: while the file named by the variable exists.
import { existsSync } from "node:fs";
import { api, depends, Service } from "ekiben";
import { z } from "zod";

const isAsked = (variable) => existsSync(process.env[variable] ?? "");
const answer = { output: z.number() };

function loadWeights() {
  if (isAsked("WEIGHTS_ARE_LOST"))
    throw new Error("weights.onnx is gone", { cause: new Error("the disk is not mounted") });
}

/** Fails its next start on request. */
export class Fragile extends Service({
  restart: { backoffMs: 20, maxBackoffMs: 100, giveUpAfter: 3, slowBackoffMs: 1000 },
}) {
  start() {
    loadWeights();
  }
  where = api(answer, () => process.pid);
}

/** Loads until its process gets SIGUSR2, and never reports whether it is ready. */
export class Silent extends Service() {
  async start() {
    if (!isAsked("LOADS_LONG")) return;
    const loaded = new Promise((resolve) => process.once("SIGUSR2", resolve));
    console.error(`loading in ${process.pid}`);
    await loaded;
  }
  async ready() {
    return isAsked("NOBODY_SAYS") ? new Promise(() => {}) : true;
  }
  where = api(answer, () => process.pid);
}

export class Shop extends Service() {
  fragile = depends(Fragile);
  silent = depends(Silent);

  whereFragile = api(answer, () => this.fragile.where());
  whereSilent = api(answer, () => this.silent.where());
}
