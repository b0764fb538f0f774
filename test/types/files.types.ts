// `file()`, `tensor()` and dates inside schemas of zod, valibot and arktype: types of author, handle and client.
import { type } from "arktype";
import { api, file, type Handle, Service, stream, type Tensor, tensor } from "ekiben";
import type { Client } from "ekiben/client";
import * as v from "valibot";
import { z } from "zod";
import * as mini from "zod/mini";
import { expectType } from "./expect.js";

type Ids = Tensor<"int64", readonly [number, 2]>;

class Files extends Service() {
  zod = api(
    {
      input: z.object({
        f: file(),
        maybe: z.optional(file()),
        none: z.nullable(tensor("int64", ["n", 2])),
        list: z.array(file()),
        either: z.union([z.string(), file()]),
        byName: z.record(z.string(), file()),
        pair: z.tuple([file(), z.number()]),
        at: z.date(),
        holes: z.array(z.optional(z.nullable(file()))).default([]),
        deep: z.optional(z.object({ f: z.nullable(z.optional(file())) })),
        first: z.lazy(() => z.intersection(z.object({ f: file() }), z.object({ n: z.number() }))).catch(null as never),
        piped: z
          .pipe(
            file(),
            z.transform((given: File) => given.name),
          )
          .optional(),
      }),
      output: z.object({ files: z.array(file()), ids: z.optional(tensor("int64", ["n", 2])) }),
    },
    (input) => {
      expectType<{
        f: File;
        maybe?: File | undefined;
        none: Ids | null;
        list: File[];
        either: string | File;
        byName: Record<string, File>;
        pair: [File, number];
        at: Date;
        holes: (File | null | undefined)[];
        deep?: { f?: File | null | undefined } | undefined;
        first: { f: File } & { n: number };
        piped?: string | undefined;
      }>()(input);
      return { files: input.list };
    },
  );
  mini = api({ input: mini.object({ f: mini.optional(file()) }), output: mini.array(file()) }, ({ f }) => {
    expectType<File | undefined>()(f);
    return f === undefined ? [] : [f];
  });
  valibot = api(
    {
      input: v.object({
        f: file(),
        maybe: v.optional(file()),
        none: v.nullable(tensor("int64", ["n", 2])),
        list: v.array(file()),
        either: v.union([v.string(), file()]),
        byName: v.record(v.string(), file()),
      }),
      output: v.array(file()),
    },
    (input) => {
      expectType<{
        f: File;
        maybe?: File | undefined;
        none: Ids | null;
        list: File[];
        either: string | File;
        byName: { [name: string]: File };
      }>()(input);
      return input.list;
    },
  );
  arktype = api(
    { input: type({ f: file(), "maybe?": file(), ids: tensor("int64", ["n", 2]) }), output: type({ f: file() }) },
    (input) => {
      expectType<File>()(input.f);
      expectType<File | undefined>()(input.maybe);
      expectType<Ids>()(input.ids);
      return { f: input.f };
    },
  );
  items = api({ input: stream(z.object({ f: file() })), output: z.number() }, async (items) => {
    for await (const { f } of items) expectType<File>()(f);
    return 1;
  });
}
declare const handle: Handle<Files>;
declare const client: Client<Files>;
declare const blob: Blob;
declare const ids: Ids;

const first = { f: blob, n: 1 };
const zodInput = {
  first,
  f: blob,
  none: null,
  list: [blob],
  either: "x",
  byName: {},
  pair: [blob, 1] as [Blob, number],
};
handle.zod({ ...zodInput, at: new Date(), maybe: blob });
client.zod({ ...zodInput, at: new Date() }).then(({ files, ids: given }) => {
  expectType<File[]>()(files);
  expectType<Ids | undefined>()(given);
});
handle.valibot({ f: blob, none: ids, list: [], either: blob, byName: { a: blob } });
client.valibot({ f: blob, none: ids, list: [], either: blob, byName: { a: blob } });
handle.arktype({ f: blob, ids });
client.arktype({ f: blob, ids }).then(({ f }) => expectType<File>()(f));
// @ts-expect-error a text is no file, zod
handle.zod({ ...zodInput, at: new Date(), maybe: "x" });
// @ts-expect-error a missing file, valibot
handle.valibot({ none: null, list: [], either: "x", byName: {} });
// @ts-expect-error a text is no file, arktype
client.arktype({ f: "x", ids });
// @ts-expect-error the wrong dtype inside a schema
api({ output: z.array(tensor("int64", ["n"])) }, () => [null as unknown as Tensor<"float32", readonly [number]>]);
// @ts-expect-error the wrong result
api({ output: v.object({ f: file() }) }, () => ({ f: 1 }));
