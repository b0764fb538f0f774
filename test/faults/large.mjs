// Five services in processes that forward large values, for tests that count how much each of them reads and keeps.
import { api, depends, Service, Tensor, tensor } from "ekiben";
import { z } from "zod";

const pixels = tensor("float32", ["n"]);
const output = z.any();
const make = (n) => {
  const data = new Float32Array(n);
  for (let i = 0; i < n; i++) data[i] = i % 1000;
  return new Tensor("float32", [n], data);
};
const isWhole = ({ data }) => {
  for (let i = 0; i < data.length; i++) if (data[i] !== i % 1000) return false;
  return true;
};

export class Leaf extends Service() {
  make = api({ input: z.number(), output: pixels }, make);
  sum = api({ input: pixels, output }, (given) => [given.data.length, isWhole(given)]);
  echo = api({ input: pixels, output: pixels }, (given) => given);
}

export class Third extends Service() {
  next = depends(Leaf);
  #kept = [];
  make = api({ input: z.number(), output: pixels }, (n) => this.next.make(n));
  sum = api({ input: pixels, output }, (given) => this.next.sum(given));
  echo = api({ input: pixels, output: pixels }, async (given) => await this.next.echo(given));
  /** Forwards a value and changes it afterwards. */
  write = api({ input: pixels, output }, async (given) => {
    const first = await this.next.sum(given);
    given.data[0] = 5;
    return [first, await this.next.sum(given), given.data[0]];
  });
  /** Keeps its input unread. */
  keep = api({ input: pixels, output }, (given) => this.#kept.push(given));
  kept = api({ output }, () => this.#kept.splice(0).map((given) => [given.data.length, isWhole(given)]));
  where = api({ output }, () => process.pid);
}

export class Second extends Service() {
  next = depends(Third);
  make = api({ input: z.number(), output: pixels }, (n) => this.next.make(n));
  sum = api({ input: pixels, output }, (given) => this.next.sum(given));
  echo = api({ input: pixels, output: pixels }, (given) => this.next.echo(given));
  write = api({ input: pixels, output }, (given) => this.next.write(given));
  keep = api({ input: pixels, output }, (given) => this.next.keep(given));
  kept = api({ output }, () => this.next.kept());
  where = api({ output }, () => this.next.where());
}

const Ask = z.object({ what: z.enum(["sum", "echo", "write", "keep", "kept", "make"]), n: z.number() });

export class Entry extends Service() {
  next = depends(Second);
  leaf = depends(Leaf);
  ask = api({ input: Ask, output }, async ({ what, n }) => {
    if (what === "kept") return this.next.kept();
    const given = what === "make" ? await this.next.make(n) : await this.next[what](make(n));
    return what === "make" || what === "echo" ? [given.data.length, isWhole(given)] : given;
  });
  where = api({ output }, () => this.next.where());
  /** Gives the result of one service to another. */
  pass = api({ input: z.number(), output }, async (n) => this.next.sum(await this.leaf.make(n)));
}
