import { appendFileSync } from "node:fs";
import { api, depends, resource, Service } from "ekiben";
import { z } from "zod";

/** Writes down what happens, for all processes and threads. */
const note = (what: string) => appendFileSync(process.env["RESOURCE_JOURNAL"] as string, `${what}\n`);

class Lexicon {
  readonly #words = new Set(["train", "box"]);
  has(word: string): boolean {
    return this.#words.has(word);
  }
  async [Symbol.asyncDispose](): Promise<void> {
    note("lexicon closed");
  }
}

export class Reader extends Service() {
  lexicon = resource(async ({ replica, signal }) => {
    note(`lexicon opened by ${replica.id}, ${signal.aborted ? "too late" : "in time"}`);
    return new Lexicon();
  });
  limit = resource(
    () => {
      note(`limit opened, ${this.lexicon.has("train") ? "after" : "before"} the lexicon`);
      return 2;
    },
    (limit) => note(`limit ${limit} closed`),
  );

  override start() {
    note(`started with ${this.limit}`);
  }

  override stop() {
    note(`stopped with ${this.limit}`);
  }

  known = api({ input: z.array(z.string()), output: z.array(z.string()) }, (words) =>
    words.filter((word) => this.lexicon.has(word)).slice(0, this.limit),
  );
}

export class Desk extends Service() {
  reader = depends(Reader);
  known = api({ input: z.array(z.string()), output: z.array(z.string()) }, (words) => this.reader.known(words));
}
