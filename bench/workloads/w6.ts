// W6: one hop that carries 602 kB there and back.
import { api, depends, Service, Tensor, tensor } from "ekiben";
import { z } from "zod";
import { createPicture, pictureShape, scale, sum } from "./maths.ts";

const Picture = tensor("float32", pictureShape);

export class Doubler extends Service() {
  double = api({ input: Picture, output: Picture }, ({ data }) => new Tensor("float32", pictureShape, scale(data, 2)));
}

export class Gateway extends Service() {
  doubler = depends(Doubler);

  run = api({ input: z.object({ seed: z.int() }), output: z.object({ sum: z.number() }) }, async ({ seed }) => {
    const doubled = await this.doubler.double(new Tensor("float32", pictureShape, createPicture(seed)));
    return { sum: sum(doubled.data) };
  });
}
