import { api, Service, ServingError, Tensor, task, tensor } from "ekiben";
import { z } from "zod";

const row = z.object({ id: z.number() });
const rows = z.array(row);
/** Schema whose check takes some turns of the event loop. */
const slowly = async () => {
  for (let i = 0; i < 3; i++) await new Promise(setImmediate);
  return true;
};

const input = { ids: z.array(z.number()) };
const output = { values: tensor("float32", ["rows"]), rows };
const slowOutput = { values: tensor("float32", ["rows"]), rows: rows.refine(slowly) };

/** Memory that a function refills for each answer, and returns views of. */
class Memory {
  readonly #values = new Float32Array(512);
  readonly #rows: { id: number }[] = [];
  readonly #bytes = new Uint8Array(70_000);
  #answers = 0;

  write(ids: readonly number[]) {
    this.#values.set(ids, 256);
    this.#rows.length = 0;
    for (const id of ids) this.#rows.push({ id });
    return {
      values: new Tensor("float32", [ids.length], this.#values.subarray(256, 256 + ids.length)),
      rows: this.#rows,
    };
  }

  writeBytes(byte: number): Uint8Array {
    return this.#bytes.fill(byte);
  }

  scribble(): void {
    this.#values.fill(-1);
    this.#bytes.fill(0xee);
    for (const each of this.#rows) each.id = -1;
  }

  /**
   * Overwrites the memory after some turns of the microtask queue, unless it holds another answer by then. The
   * framework sees a returned value at once, the value of an async function one turn later, and the items of an async
   * generator two turns later.
   */
  scribbleAfter(turns: number, answer = ++this.#answers): void {
    queueMicrotask(() => {
      if (answer !== this.#answers) return;
      if (turns === 0) this.scribble();
      else this.scribbleAfter(turns - 1, answer);
    });
  }
}

/** Uses one piece of memory for all its answers, and overwrites it as soon as it may. */
export class Reuser extends Service() {
  readonly #memory = new Memory();

  now = api({ input, output }, ({ ids }) => this.#now(ids));
  later = api({ input, output, maxConcurrent: 1 }, ({ ids }) => this.#later(ids));
  checked = api({ input, output: slowOutput }, ({ ids }) => this.#now(ids));
  checkedLater = api({ input, output: slowOutput, maxConcurrent: 1 }, ({ ids }) => this.#later(ids));
  withBlob = api({ input, output: z.any() }, ({ ids }) => ({ ...this.#now(ids), blob: new Blob(["x"]) }));

  batchNow = api({ input, output, batch: { maxRows: 4 } }, ({ ids }) => this.#now(ids));
  batchLater = api({ input, output, batch: { maxRows: 4 } }, ({ ids }) => this.#later(ids));
  batchChecked = api({ input, output: slowOutput, batch: { maxRows: 4 } }, ({ ids }) => this.#now(ids));
  /** Works on its input in place, and fails for some rows: the other rows are then run again. */
  batchAgain = api(
    { input: { rows }, output, batch: { maxRows: 64 }, idempotent: true, maxQueued: 64 },
    ({ rows: given }) => this.#again(given),
  );

  items = api({ input, yields: z.any() }, ({ ids }) => this.#items(ids));
  itemsChecked = api({ input, yields: z.any().refine(slowly) }, ({ ids }) => this.#items(ids));
  run = task({ input, output }, ({ ids }) => this.#now(ids));

  #now(ids: readonly number[]) {
    this.#memory.scribbleAfter(0);
    return this.#memory.write(ids);
  }

  async #later(ids: readonly number[]) {
    await new Promise(setImmediate);
    this.#memory.scribbleAfter(1);
    return this.#memory.write(ids);
  }

  #again(given: { id: number }[]) {
    for (const each of given) each.id += 1000;
    const bad = given.find(({ id }) => id % 2 !== 0);
    if (bad !== undefined) throw new ServingError({ code: "invalid_argument", message: `row ${bad.id} is odd` });
    return this.#now(given.map(({ id }) => id));
  }

  async *#items(ids: readonly number[]) {
    for (const id of ids) {
      const item = { ...this.#memory.write([id]), bytes: this.#memory.writeBytes(id) };
      this.#memory.scribbleAfter(2);
      yield item;
    }
  }
}
