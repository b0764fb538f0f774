/** Something that remembers its own place in a `SlotList`; it may be in one at a time. */
export interface Slotted {
  slot: number;
}

/** A set whose members know their place, so that adding and removing one costs no hashing. Order is not kept. */
export class SlotList<T extends Slotted> {
  readonly #members: T[] = [];

  get size(): number {
    return this.#members.length;
  }

  add(member: T): void {
    member.slot = this.#members.length;
    this.#members.push(member);
  }

  /** Does nothing when the member is not in the list. */
  remove(member: T): void {
    const at = member.slot;
    if (this.#members[at] !== member) return;
    const last = this.#members.pop() as T;
    member.slot = -1;
    if (last === member) return;
    this.#members[at] = last;
    last.slot = at;
  }

  toArray(): T[] {
    return [...this.#members];
  }
}
