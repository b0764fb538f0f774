// Mixed work for a long run: a model that computes without a pause, and large values of each kind.
import { api, depends, file, Service, tensor } from "ekiben";
import { z } from "zod";
import { burn } from "./burn.ts";

const Input = z.object({ x: z.number() });
const Output = z.object({ y: z.number() });
const Text = z.object({ text: z.string() });
const vector = tensor("float32", ["n"]);

export class Model extends Service({ replicas: 2 }) {
  predict = api({ input: Input, output: Output }, ({ x }) => ({ y: burn(x) }));
}

/** Does almost nothing with its input, so that the transport of values dominates. */
export class Store extends Service() {
  size = api({ input: file(), output: z.number() }, async (body) => (await body.arrayBuffer()).byteLength);
  length = api({ input: Text, output: z.number() }, ({ text }) => text.length);
  echo = api({ input: vector, output: vector }, (values) => values);
  count = api({ input: z.object({ n: z.number() }), yields: z.number() }, async function* ({ n }) {
    for (let i = 0; i < n; i++) yield i;
  });
}

export class Gateway extends Service({ http: { maxBodyBytes: "64MiB" } }) {
  model = depends(Model);
  store = depends(Store);

  run = api({ input: Input, output: Output }, (input) => this.model.predict(input));
  upload = api({ input: file(), output: z.number() }, (body) => this.store.size(body));
  text = api({ input: Text, output: z.number() }, (body) => this.store.length(body));
  vector = api({ input: vector, output: vector }, (values) => this.store.echo(values));
  count = api({ input: z.object({ n: z.number() }), yields: z.number() }, (ask) => this.store.count(ask));
}
