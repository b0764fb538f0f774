// Large values between processes: texts, tensors and files over one hop, a tensor through four services, an upload. The
// gateway measures its own calls, so that only the figures of uploads include HTTP.
import { api, depends, file, Service, Tensor, tensor } from "ekiben";
import { z } from "zod";

const Text = z.object({ text: z.string() });
const numbers = tensor("float32", ["n"]);

export class Sink extends Service() {
  text = api({ input: Text, output: z.number() }, ({ text }) => text.length);
  tensor = api({ input: numbers, output: z.number() }, ({ data }) => data.length);
  file = api({ input: file(), output: z.number() }, ({ size }) => size);
}

export class Third extends Service() {
  next = depends(Sink);
  tensor = api({ input: numbers, output: z.number() }, (given) => this.next.tensor(given));
}

export class Second extends Service() {
  next = depends(Third);
  tensor = api({ input: numbers, output: z.number() }, (given) => this.next.tensor(given));
}

export class First extends Service() {
  next = depends(Second);
  tensor = api({ input: numbers, output: z.number() }, (given) => this.next.tensor(given));
}

export const kinds = ["text", "wide", "tensor", "chain", "file"] as const;
const Ask = z.object({ kind: z.enum(kinds), bytes: z.number(), times: z.number() });

export class Gateway extends Service({ http: { maxBodyBytes: "256MiB" } }) {
  sink = depends(Sink);
  first = depends(First);

  time = api({ input: Ask, output: z.array(z.number()), timeoutMs: 120_000 }, async ({ kind, bytes, times }) => {
    const call = this.#prepare(kind, bytes);
    const ms: number[] = [];
    for (let i = 0; i < times; i++) {
      const begun = performance.now();
      await call();
      ms.push(performance.now() - begun);
    }
    return ms;
  });

  upload = api({ input: file(), output: z.number(), timeoutMs: 120_000 }, (given) => this.sink.file(given));
  plain = api({ input: file(), output: z.number(), timeoutMs: 120_000 }, (given) => given.size);

  #prepare(kind: (typeof kinds)[number], bytes: number): () => Promise<unknown> {
    if (kind === "text" || kind === "wide") {
      // The second text takes two bytes per character.
      const text = (kind === "text" ? "ekiben, " : "駅弁, ").repeat(kind === "text" ? bytes / 8 : bytes / 8);
      return () => this.sink.text({ text });
    }
    if (kind === "file") {
      const given = new File([new Uint8Array(bytes).fill(7)], "a.bin");
      return () => this.sink.file(given);
    }
    const given = new Tensor("float32", [bytes / 4], new Float32Array(bytes / 4).fill(1.5));
    return kind === "tensor" ? () => this.sink.tensor(given) : () => this.first.tensor(given);
  }
}
