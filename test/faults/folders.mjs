// Two services in processes that exchange small and large values, for tests that remove the folders they communicate
// through.
import { api, depends, Service, tensor } from "ekiben";
import { z } from "zod";

const output = z.any();

export class Model extends Service() {
  where = api({ output }, () => process.pid);
  big = api({ output: tensor("float32", ["n"]) }, () => ({
    dtype: "float32",
    shape: [200_000],
    data: new Float32Array(200_000).fill(1.5),
  }));
}

export class Entry extends Service() {
  model = depends(Model);
  where = api({ output }, async () => [process.pid, await this.model.where()]);
  /** Reports the result of sending a tensor of 800 kB. */
  big = api({ output }, async () => {
    const { data } = await this.model.big();
    return [data.length, data.every((value) => value === 1.5)];
  });
}
