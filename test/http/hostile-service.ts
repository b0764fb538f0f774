import { type } from "arktype";
import { api, file, Service, stream, task, tensor } from "ekiben";
import * as v from "valibot";
import { z } from "zod";

const Line = z.object({ a: z.number(), b: z.string() });
const Shape = z.union([z.object({ a: z.number() }), z.object({ b: z.string() }), z.string()]);
const Tree: z.ZodType = z.lazy(() => z.object({ name: z.string(), children: z.array(Tree) }));
const Moment: z.ZodType = z.lazy(() =>
  z.union([
    z.date(),
    z.object({ at: z.date(), a: Moment.optional() }),
    z.object({ id: z.bigint(), a: Moment.optional() }),
  ]),
);
interface Pages {
  scan: Blob;
  inner?: Pages[] | undefined;
}
const Page: z.ZodType<Pages, Pages> = z.lazy(() =>
  z.object({ scan: file(), inner: z.array(Page).optional() }),
) as never;

/** Apis that take every kind of body and answer with little. Its task needs a store. */
export class HostileService extends Service({ name: "Hostile" }) {
  numbers = api({ input: z.array(z.number().min(0)), output: z.number() }, (list) => list.length);
  lines = api({ input: z.object({ lines: z.array(Line) }), output: z.number() }, ({ lines }) => lines.length);
  shapes = api({ input: z.array(Shape), output: z.number() }, (list) => list.length);
  record = api({ input: z.record(z.string().max(8), z.number()), output: z.number() }, (r) => Object.keys(r).length);
  tree = api({ input: Tree, output: z.null() }, () => null);
  any = api({ input: z.any(), output: z.null() }, () => null);
  valibot = api({ input: v.array(v.object({ a: v.number(), b: v.string() })), output: z.number() }, (l) => l.length);
  arktype = api({ input: type({ a: "number", b: "string" }).array(), output: z.number() }, (l) => l.length);
  matrix = api({ input: tensor("float32", ["n", "m"]), output: tensor("float32", ["n", "m"]) }, (value) => value);
  rows = api(
    { input: tensor("float32", ["n", "m"]), output: tensor("float32", ["n", "m"]), batch: { maxRows: 32 } },
    (value) => value,
  );
  texts = api({ input: z.array(z.string()), output: z.array(z.number()), batch: { maxRows: 32 } }, (list) =>
    list.map((text) => text.length),
  );
  text = api({ input: z.string(), output: z.number() }, (text) => text.length);
  scan = api({ input: file(), output: z.number() }, ({ size }) => size);
  form = api(
    {
      input: { note: z.string(), lines: z.array(Line), vector: tensor("float32", ["n"]), scan: file() },
      output: z.null(),
    },
    () => null,
  );
  dates = api({ input: z.array(z.date()), output: z.number() }, (list) => list.length);
  bigints = api({ input: z.array(z.bigint()), output: z.number() }, (list) => list.length);
  sets = api({ input: z.set(z.number()), output: z.number() }, (set) => set.size);
  maps = api({ input: z.map(z.string().max(8), z.number()), output: z.number() }, (map) => map.size);
  moments = api({ input: z.array(Moment), output: z.number() }, (list) => list.length);
  album = api(
    { input: z.object({ pages: z.array(Page), more: z.lazy(() => Page).optional() }), output: z.null() },
    () => null,
  );
  strict = api({ input: z.strictObject({ note: z.string() }), output: z.null() }, () => null);
  items = api({ input: stream(z.number()), output: z.number() }, async (items) => {
    let count = 0;
    for await (const _ of items) count++;
    return count;
  });
  chunks = api({ input: stream(z.instanceof(Uint8Array)), output: z.number() }, async (chunks) => {
    let size = 0;
    for await (const chunk of chunks) size += chunk.length;
    return size;
  });
  index = task({ input: z.array(Line), output: z.number() }, (list) => list.length);
}
