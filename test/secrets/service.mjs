// Services that read the environment, and a task that tells the headers it sees.
import { api, currentCall, depends, Service, secret, task } from "ekiben";
import { z } from "zod";

const text = { output: z.string() };
const atLoad = process.env["GREETING"];

export class Model extends Service({ env: { MODEL_KEY: secret("SECRET_KEY") } }) {
  greeting = api(text, () => `${atLoad} from ${process.env["GREETING"]}`);
  key = api(text, () => process.env["MODEL_KEY"]);
  failing = api(text, () => {
    throw new Error(`the key ${secret("SECRET_KEY")} was refused`);
  });
}

export class Desk extends Service() {
  model = depends(Model);
  greeting = api(text, () => this.model.greeting());
  key = api(text, () => this.model.key());
  failing = api(text, () => {
    currentCall().log.warn(
      { secret: secret("SECRET_KEY"), list: [secret("SECRET_KEY")] },
      `key ${secret("SECRET_KEY")}`,
    );
    return this.model.failing();
  });
  headers = task({ output: z.record(z.string(), z.string()) }, () => currentCall().headers);
}
