// A service that is debugged from its start on, one that is not, and one that asks both.
import { threadId } from "node:worker_threads";
import { api, depends, Service } from "ekiben";
import { z } from "zod";

const where = () => api({ output: z.string() }, () => `${process.pid}/${threadId}`);

export class Model extends Service() {
  where = where();
}

export class Other extends Service() {
  where = where();
}

export class Entry extends Service() {
  model = depends(Model);
  other = depends(Other);
  where = api({ output: z.string() }, () => this.model.where());
  whereOther = api({ output: z.string() }, () => this.other.where());
}
