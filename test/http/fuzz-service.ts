import { z } from "zod";
import { api, file, Service, tensor } from "../../src/index.js";

const Node: z.ZodType = z.lazy(() => z.object({ name: z.string(), children: z.array(Node) }));

/** Service with all forms of input and output; none of its apis can fail by itself. */
export class FuzzService extends Service() {
  known = api({ input: z.literal("known"), output: z.literal("well") }, () => "well" as const);
  text = api({ input: z.string().max(20), output: z.string() }, (value) => value);
  row = api(
    {
      input: z.object({
        id: z.number().int().min(0).max(1000),
        kind: z.enum(["a", "b"]),
        score: z.number().optional(),
        tags: z.array(z.string()).max(4),
        nested: z.object({ ok: z.boolean(), maybe: z.union([z.string(), z.null(), z.number()]) }),
      }),
      output: z.any(),
    },
    (value) => value,
  );
  tree = api({ input: Node, output: Node }, (value) => value);
  vector = api({ input: tensor("float32", ["n"]), output: tensor("float32", ["n"]) }, (value) => value);
  matrix = api({ input: tensor("int32", [2, "n"]), output: tensor("int32", [2, "n"]) }, (value) => value);
  image = api({ input: file({ contentType: "image/*", maxBytes: 100 }), output: z.number() }, ({ size }) => size);
  echoFile = api({ input: file(), output: file() }, (value) => value);
  form = api(
    {
      input: {
        photo: file(),
        vector: tensor("float32", ["n"]),
        note: z.string(),
        count: z.number(),
        many: z.array(z.string()),
      },
      output: z.any(),
    },
    ({ note, count, many }) => ({ note, count, many }),
  );
  any = api({ input: z.any(), output: z.any() }, (value) => value ?? null);
  none = api({ output: z.null() }, () => null);
  stream = api({ input: z.array(z.any()), yields: z.any() }, async function* (items) {
    yield* items;
  });
  words = api({ input: z.array(z.string()), yields: z.string() }, async function* (items) {
    yield* items;
  });
}
