// A service that a debugger pauses, and one that calls it.
import { api, depends, Service } from "ekiben";
import { z } from "zod";

export class Model extends Service({ env: { NODE_OPTIONS: "--inspect=127.0.0.1:0" } }) {
  where = api({ output: z.number() }, () => process.pid);
}

export class Entry extends Service() {
  model = depends(Model);
  where = api({ output: z.number() }, () => this.model.where());
}
