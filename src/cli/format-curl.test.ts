import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { z } from "zod";
import type { Contract } from "../define/contract.js";
import type { ApiDescriptor } from "../define/descriptor.js";
import { file } from "../define/file.js";
import { stream } from "../define/schema.js";
import { tensor } from "../define/tensor-schema.js";
import { formatCurl } from "./format-curl.js";

const json = "-H 'content-type: application/json' -d";
const output = z.string();
const cases: readonly {
  readonly name: string;
  readonly contract: Contract;
  readonly args: string;
  readonly kind?: "stream";
}[] = [
  { name: "no input", contract: { output }, args: "-X POST" },
  {
    name: "an example of the author's",
    contract: { input: z.string(), output, examples: ["it's"] },
    args: `${json} '"it'\\''s"'`,
  },
  {
    name: "a made-up input",
    contract: {
      input: z.object({ text: z.string(), n: z.int().min(3), kind: z.enum(["a", "b"]), note: z.string().optional() }),
      output,
    },
    args: `${json} '{"text":"some text","n":3,"kind":"a"}'`,
  },
  { name: "a small tensor", contract: { input: tensor("float32", ["n"]), output }, args: `${json} '[1,1]'` },
  {
    name: "a large tensor",
    contract: { input: tensor("float32", [3, 224, 224]), output },
    args: `${json} @input.json`,
  },
  {
    name: "a file",
    contract: { input: file({ contentType: "image/*" }), output },
    args: "-H 'content-type: image/png' --data-binary @input.png",
  },
  {
    name: "a file beside other fields",
    contract: { input: { page: file({ contentType: "application/pdf" }), title: z.string() }, output },
    args: "-F page=@page.pdf -F 'title=some text'",
  },
  {
    name: "files in a schema of a library",
    contract: { input: z.object({ pages: z.array(file()), cover: z.optional(file()) }), output },
    args: "-F pages=@pages.bin -F cover=@cover.bin",
  },
  {
    name: "an example that JSON has no notation for",
    contract: { input: z.any(), output, examples: [{ id: 2n ** 64n, at: new Date(0), map: new Map([["a", 1n]]) }] },
    args: `${json} '{"id":"18446744073709551616","at":"1970-01-01T00:00:00.000Z","map":{"a":1}}'`,
  },
  { name: "a stream", contract: { yields: output }, kind: "stream", args: "-X POST" },
  {
    name: "a stream of bytes",
    contract: { input: stream(z.instanceof(Uint8Array)), output },
    args: "-X POST -H 'content-type: application/octet-stream' -T input.bin",
  },
  {
    name: "a stream of values, as a list",
    contract: { input: stream(z.number()), output },
    args: "-H 'content-type: application/json' -d '[1,1]'",
  },
];

describe("formatCurl", () => {
  for (const { name, contract, args, kind = "unary" } of cases) {
    it(`shows how to send ${name}`, () => {
      const api: ApiDescriptor = { name: "run", kind, contract, route: "/run", takesStream: false };
      const stream = kind === "stream" ? "-N " : "";
      assert.equal(formatCurl("http://127.0.0.1:3000", api), `curl ${stream}http://127.0.0.1:3000/run ${args}`);
    });
  }
});
