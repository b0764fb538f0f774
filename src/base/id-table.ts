const leastPlaces = 16;

/**
 * Values by number, for numbers that come and go: what a `Map` does, without what it keeps.
 *
 * A `Map` from which as much is taken as is put in moves to a new table again and again, and in V8 each table refers to the
 * one after it. Once a table that is given up has grown old, all later ones are kept alive with everything that was in them
 * when they were given up, until the old generation is collected: which it then is, several times a second, for calls that
 * were long answered. Here a place that is given up is empty.
 *
 * Numbers that follow one another, as those of calls do, lie side by side and never meet; others are looked for from where
 * they belong to the next empty place (Knuth, TAOCP 3, 6.4, algorithms L and R).
 */
export class IdTable<T> {
  /** 0 where nothing is. */
  #ids = new Uint32Array(leastPlaces);
  #values: (T | undefined)[] = new Array(leastPlaces).fill(undefined);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has(id: number): boolean {
    return this.#ids[this.#find(id)] === id;
  }

  get(id: number): T | undefined {
    return this.#values[this.#find(id)];
  }

  /** @param id A whole number from 1 to 2^32 - 1. */
  set(id: number, value: T): void {
    if (this.#size * 2 >= this.#ids.length) this.#grow();
    const at = this.#find(id);
    if (this.#ids[at] !== id) this.#size++;
    this.#ids[at] = id;
    this.#values[at] = value;
  }

  /** Does nothing when there is none. */
  delete(id: number): void {
    let at = this.#find(id);
    if (this.#ids[at] !== id) return;
    this.#size--;
    const mask = this.#ids.length - 1;
    // Whoever was pushed past this place moves up, so that nobody is looked for beyond an empty one.
    for (let next = (at + 1) & mask; this.#ids[next] !== 0; next = (next + 1) & mask) {
      const home = (this.#ids[next] as number) & mask;
      if (((next - home) & mask) < ((next - at) & mask)) continue;
      this.#ids[at] = this.#ids[next] as number;
      this.#values[at] = this.#values[next];
      at = next;
    }
    this.#ids[at] = 0;
    this.#values[at] = undefined;
  }

  clear(): void {
    this.#ids.fill(0);
    this.#values.fill(undefined);
    this.#size = 0;
  }

  /** What is in the table now, in no order that counts. */
  values(): T[] {
    return this.#values.filter((_, at) => this.#ids[at] !== 0) as T[];
  }

  /** Where the number is, or the empty place where it would be. */
  #find(id: number): number {
    const mask = this.#ids.length - 1;
    let at = id & mask;
    for (let there = this.#ids[at]; there !== 0 && there !== id; there = this.#ids[at]) at = (at + 1) & mask;
    return at;
  }

  #grow(): void {
    const [ids, values] = [this.#ids, this.#values];
    this.#ids = new Uint32Array(ids.length * 2);
    this.#values = new Array(ids.length * 2).fill(undefined);
    for (let at = 0; at < ids.length; at++) {
      const id = ids[at] as number;
      if (id === 0) continue;
      const place = this.#find(id);
      this.#ids[place] = id;
      this.#values[place] = values[at];
    }
  }
}
