import { api, depends, Service, stream } from "ekiben";
import { z } from "zod";

/** Small item, such as a token or a detected segment. */
const item = z.object({ index: z.number(), text: z.string() });
const order = z.object({ items: z.number() });

/** Yields small items as fast as they are taken. */
export class Producer extends Service() {
  items = api({ input: order, yields: item, maxConcurrent: 4096 }, async function* ({ items }) {
    for (let index = 0; index < items; index++) yield { index, text: "a small item" };
  });
  /** Counts its input items. */
  take = api({ input: stream(item), output: z.number(), maxConcurrent: 4096 }, async (items) => {
    let count = 0;
    for await (const _ of items) count++;
    return count;
  });
}

/** Forwards the streams of `Producer`, in both directions. */
export class Middle extends Service() {
  producer = depends(Producer);

  items = api({ input: order, yields: item, maxConcurrent: 4096 }, (wish) => this.producer.items(wish));
  reread = api({ input: order, yields: item, maxConcurrent: 4096 }, (wish) => this.#reread(wish));
  take = api({ input: stream(item), output: z.number(), maxConcurrent: 4096 }, (items) => this.producer.take(items));

  async *#reread(wish: z.infer<typeof order>) {
    for await (const each of this.producer.items(wish)) yield each;
  }
}

/** One more forwarding service, which is the entry. */
export class Outer extends Service() {
  middle = depends(Middle);

  items = api({ input: order, yields: item, maxConcurrent: 4096 }, (wish) => this.middle.items(wish));
  reread = api({ input: order, yields: item, maxConcurrent: 4096 }, (wish) => this.#reread(wish));
  take = api({ input: stream(item), output: z.number(), maxConcurrent: 4096 }, (items) => this.middle.take(items));
  echo = api({ input: stream(item), yields: item, maxConcurrent: 4096 }, async function* (items) {
    for await (const each of items) yield each;
  });

  async *#reread(wish: z.infer<typeof order>) {
    for await (const each of this.middle.reread(wish)) yield each;
  }
}
