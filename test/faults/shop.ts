// Services whose start or readiness fails when a test asks for it: the file named by the variable is there then.
import { existsSync } from "node:fs";
import { api, depends, Service } from "ekiben";
import { z } from "zod";

const isAsked = (variable: string) => existsSync(process.env[variable] ?? "");
const answer = { output: z.number() };

function loadWeights(): void {
  if (isAsked("WEIGHTS_ARE_LOST"))
    throw new Error("weights.onnx is gone", { cause: new Error("the disk is not mounted") });
}

/** Its next start fails. */
export class Fragile extends Service({ restart: { backoffMs: 20, giveUpAfter: 3 } }) {
  override start() {
    loadWeights();
  }
  where = api(answer, () => process.pid);
}

/** Never says whether it is ready. */
export class Silent extends Service() {
  override async ready() {
    return isAsked("NOBODY_SAYS") ? new Promise<boolean>(() => {}) : true;
  }
  where = api(answer, () => process.pid);
}

export class Shop extends Service() {
  fragile = depends(Fragile);
  silent = depends(Silent);

  whereFragile = api(answer, () => this.fragile.where());
  whereSilent = api(answer, () => this.silent.where());
}
