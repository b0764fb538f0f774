const leastPlaces = 16;

/**
 * Values by number, for numbers that come and go. Works like a `Map`, but does not keep garbage alive.
 *
 * A `Map` with as many removals as insertions moves to a new table again and again, and in V8 each table refers to the
 * next one. Once an abandoned table is in the old generation, it keeps all later tables alive, with everything in them
 * when they were abandoned, until the old generation is collected. That then happens several times a second, for calls
 * that were answered long ago. In this table a removed entry leaves an empty slot.
 *
 * Consecutive numbers, such as those of calls, lie side by side and never collide. A lookup goes from the slot of the
 * number to the next empty slot (Knuth, TAOCP 3, 6.4, algorithms L and R).
 */
export class IdTable<T> {
  /** Number in each slot; 0 for an empty slot. */
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

  /** @param id Whole number from 1 to 2^32 - 1. */
  set(id: number, value: T): void {
    if (this.#size * 2 >= this.#ids.length) this.#grow();
    const at = this.#find(id);
    if (this.#ids[at] !== id) this.#size++;
    this.#ids[at] = id;
    this.#values[at] = value;
  }

  /** Removes a number. Does nothing when it is absent. */
  delete(id: number): void {
    let at = this.#find(id);
    if (this.#ids[at] !== id) return;
    this.#size--;
    const mask = this.#ids.length - 1;
    // Entries that were pushed past this slot move up, so that no lookup has to pass an empty slot.
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

  /** Values in the table now, in no particular order. */
  values(): T[] {
    return this.#values.filter((_, at) => this.#ids[at] !== 0) as T[];
  }

  /** Finds the slot of a number, or the empty slot where it would be. */
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
