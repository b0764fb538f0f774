interface Node<T> {
  value: T;
  previous: Node<T> | undefined;
  next: Node<T> | undefined;
}

/** Position of a value in a `Fifo`; needed to remove it from the middle. */
export type FifoPlace<T> = { readonly value: T };

/** A first-in-first-out queue from which a waiting value can be removed in constant time. */
export class Fifo<T> {
  #first: Node<T> | undefined;
  #last: Node<T> | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Value that waits longest, not removed; `undefined` when empty. */
  get first(): T | undefined {
    return this.#first?.value;
  }

  /** Value that came last, not removed; `undefined` when empty. */
  get last(): T | undefined {
    return this.#last?.value;
  }

  /** Visits every value, from the one that waited longest. */
  forEach(visit: (value: T) => void): void {
    for (let node = this.#first, next = node?.next; node !== undefined; node = next, next = node?.next)
      visit(node.value);
  }

  /** Adds `value` at the end and returns its position. */
  push(value: T): FifoPlace<T> {
    const node: Node<T> = { value, previous: this.#last, next: undefined };
    if (this.#last === undefined) this.#first = node;
    else this.#last.next = node;
    this.#last = node;
    this.#size++;
    return node;
  }

  /** Removes and returns the value that waits longest; `undefined` when empty. */
  shift(): T | undefined {
    const node = this.#first;
    if (node === undefined) return undefined;
    this.#unlink(node);
    return node.value;
  }

  /** Removes a value. Its position must come from `push` of this queue, and the value must still be in it. */
  remove(place: FifoPlace<T>): void {
    this.#unlink(place as Node<T>);
  }

  #unlink(node: Node<T>): void {
    if (node.previous === undefined) this.#first = node.next;
    else node.previous.next = node.next;
    if (node.next === undefined) this.#last = node.previous;
    else node.next.previous = node.previous;
    // A removed node in V8's old generation would keep all later nodes alive until that generation is collected.
    node.previous = undefined;
    node.next = undefined;
    this.#size--;
  }
}
