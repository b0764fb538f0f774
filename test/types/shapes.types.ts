// A plain object of schemas is a contract too: fields of any kind side by side.
import { api, file, type Handle, Service } from "ekiben";
import { z } from "zod";
import { expectType } from "./expect.js";

class Shapes extends Service() {
  describe = api(
    {
      input: { image: file({ contentType: "image/*" }), prompt: z.string().optional(), top: z.number().default(3) },
      output: { caption: z.string(), note: z.string().optional() },
    },
    (input) => {
      expectType<File>()(input.image);
      expectType<string | undefined>()(input.prompt);
      expectType<number>()(input.top);
      return { caption: input.image.name };
    },
  );
  list = api({ yields: { word: z.string(), at: z.number() } }, async function* () {
    yield { word: "a", at: 0 };
  });
}
declare const shapes: Handle<Shapes>;
declare const image: Blob;

// Fields that may be undefined may be left out; the others may not.
shapes.describe({ image });
shapes.describe({ image, prompt: "what is it", top: 1 });
// @ts-expect-error the image is required
shapes.describe({ prompt: "what is it" });
// @ts-expect-error a field of the wrong type
shapes.describe({ image, top: "3" });
// @ts-expect-error a misspelt field
shapes.describe({ image, promt: "what is it" });
// @ts-expect-error text is not a file
shapes.describe({ image: "picture.png" });

async function results() {
  const result = await shapes.describe({ image });
  expectType<string>()(result.caption);
  expectType<string | undefined>()(result.note);
  for await (const { word, at } of shapes.list()) {
    expectType<string>()(word);
    expectType<number>()(at);
  }
}
void results;

// @ts-expect-error a required field of the result is missing
api({ output: { caption: z.string() } }, () => ({}));
// @ts-expect-error a field that is not a schema
api({ input: { text: "string" }, output: z.string() }, () => "");
