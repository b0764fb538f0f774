import { api, file, Service, ServingError, stream, Tensor, task, tensor } from "ekiben";
import { z } from "zod";
import { tree } from "./tree.js";

/** Apis for generated clients: each form of body and answer. */
export class Library extends Service() {
  greet = api({ input: z.object({ name: z.string() }), output: z.object({ text: z.string() }) }, ({ name }) => {
    if (name === "nobody")
      throw new ServingError({ code: "not_found", id: "no_such_person", message: "nobody is there" });
    return { text: `hello ${name}` };
  });
  count = api({ input: tree, output: z.number() }, function count(node): number {
    return 1 + node.children.reduce((sum, child) => sum + count(child), 0);
  });
  measure = api(
    {
      input: { scan: file(), note: z.string(), tags: z.array(z.string()) },
      output: z.object({ size: z.number(), said: z.string() }),
    },
    ({ scan, note, tags }) => ({ size: scan.size, said: `${scan.name}: ${note} ${tags.join("+")}` }),
  );
  weigh = api({ input: file({ contentType: "image/png" }), output: z.number() }, ({ size }) => size);
  double = api(
    { input: tensor("float32", ["n"]), output: tensor("float32", ["n"]) },
    ({ shape, data }) =>
      new Tensor(
        "float32",
        shape,
        data.map((value) => value * 2),
      ),
  );
  sum = api({ input: stream(z.number()), output: z.number() }, async (numbers) => {
    let sum = 0;
    for await (const number of numbers) sum += number;
    return sum;
  });
  index = task({ input: z.object({ pages: z.number() }), output: z.object({ indexed: z.number() }) }, ({ pages }) => ({
    indexed: pages,
  }));
}
