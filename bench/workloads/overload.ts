// A gateway in front of two replicas of a model that computes for 10 ms without a pause; all options have their
// defaults.
import { api, depends, Service } from "ekiben";
import { z } from "zod";
import { burn } from "./burn.ts";

const Input = z.object({ x: z.number() });
const Output = z.object({ y: z.number() });

export class Model extends Service({ replicas: 2 }) {
  predict = api({ input: Input, output: Output }, ({ x }) => ({ y: burn(x) }));
}

export class Gateway extends Service() {
  model = depends(Model);

  run = api({ input: Input, output: Output }, (input) => this.model.predict(input));
}
