// Any Standard Schema can be a contract: valibot and arktype as well as zod.
import { type } from "arktype";
import { api, type Handle, Service } from "ekiben";
import * as v from "valibot";
import { z } from "zod";
import { expectType } from "./expect.js";

class Validators extends Service() {
  valibot = api(
    {
      input: v.object({ text: v.string(), top: v.optional(v.number(), 3) }),
      output: v.pipe(
        v.string(),
        v.transform((text) => text.length),
      ),
    },
    (input) => {
      expectType<{ text: string; top: number }>()(input);
      return input.text;
    },
  );
  arktype = api({ input: type({ text: "string", "top?": "number" }), output: type("string[]") }, (input) => {
    expectType<string>()(input.text);
    expectType<number | undefined>()(input.top);
    return [input.text];
  });
  mixed = api(
    { input: { a: z.string(), b: v.number(), c: type("boolean") }, output: v.boolean() },
    ({ a, b, c }) => a.length > b && c,
  );
}
declare const validators: Handle<Validators>;

expectType<Promise<number>>()(validators.valibot({ text: "x" }));
expectType<Promise<string[]>>()(validators.arktype({ text: "x" }));
expectType<Promise<boolean>>()(validators.mixed({ a: "x", b: 1, c: true }));
// @ts-expect-error a missing field, valibot
validators.valibot({ top: 1 });
// @ts-expect-error a field of the wrong type, arktype
validators.arktype({ text: "x", top: "1" });
// @ts-expect-error fields of the wrong types, one validator each
validators.mixed({ a: 1, b: "x", c: 0 });
// @ts-expect-error the wrong result, valibot
api({ output: v.string() }, () => 1);
// @ts-expect-error the wrong result, arktype
api({ output: type("string[]") }, () => "x");
