/**
 * Something that is due at a moment. `dueAtMs` is on the owner's monotonic clock. The two fields belong to the heap: change a
 * deadline only through it.
 */
export interface Deadline {
  readonly deadlineKind: 'hold' | 'waiter' | 'lockDelay' | 'lockRetry' | 'shard';
  dueAtMs: number;
  /** Place in the heap; -1 while not in it. */
  heapIndex: number;
}

/**
 * Indexed 4-ary min-heap of deadlines: add, move and remove any of them in O(log n), the earliest in O(1). The due times stand
 * in an array of their own, so that comparing does not touch the deadlines. New deadlines are mostly the latest, for which
 * adding is O(1) in practice. Deadlines due at the same moment come in no promised order.
 */
export class DeadlineHeap {
  #due = new Float64Array(64);
  readonly #items: Deadline[] = [];

  get size(): number {
    return this.#items.length;
  }

  /** Moment of the earliest deadline; Infinity if there is none. */
  get nextDueMs(): number {
    return this.#items.length === 0 ? Number.POSITIVE_INFINITY : (this.#due[0] as number);
  }

  /** The earliest deadline. */
  peek(): Deadline | undefined {
    return this.#items[0];
  }

  /** Adds a deadline, or moves it if it is there already. An infinite one is taken out: it never comes. */
  set(item: Deadline, dueAtMs: number): void {
    item.dueAtMs = dueAtMs;
    if (dueAtMs === Number.POSITIVE_INFINITY) {
      this.remove(item);
      return;
    }
    let index = item.heapIndex;
    if (index === -1) {
      index = this.#items.length;
      if (index === this.#due.length) this.#grow();
      this.#items.push(item);
      this.#rise(index, item, dueAtMs);
    } else if (dueAtMs < (this.#due[index] as number)) {
      this.#rise(index, item, dueAtMs);
    } else {
      this.#sink(index, item, dueAtMs);
    }
  }

  /** Takes a deadline out; nothing happens if it is not there. */
  remove(item: Deadline): void {
    const index = item.heapIndex;
    if (index === -1) return;
    item.heapIndex = -1;
    const last = this.#items.pop() as Deadline;
    const lastIndex = this.#items.length;
    if (index === lastIndex) return;
    const lastDue = this.#due[lastIndex] as number;
    if (lastDue < (this.#due[index] as number)) this.#rise(index, last, lastDue);
    else this.#sink(index, last, lastDue);
  }

  #rise(from: number, item: Deadline, due: number): void {
    const dues = this.#due;
    const items = this.#items;
    let index = from;
    while (index > 0) {
      const parent = (index - 1) >> 2;
      const parentDue = dues[parent] as number;
      if (parentDue <= due) break;
      const moved = items[parent] as Deadline;
      dues[index] = parentDue;
      items[index] = moved;
      moved.heapIndex = index;
      index = parent;
    }
    dues[index] = due;
    items[index] = item;
    item.heapIndex = index;
  }

  #sink(from: number, item: Deadline, due: number): void {
    const dues = this.#due;
    const items = this.#items;
    const size = items.length;
    let index = from;
    for (;;) {
      const first = index * 4 + 1;
      if (first >= size) break;
      let child = first;
      let childDue = dues[first] as number;
      const end = Math.min(first + 4, size);
      for (let other = first + 1; other < end; other++) {
        const otherDue = dues[other] as number;
        if (otherDue < childDue) {
          child = other;
          childDue = otherDue;
        }
      }
      if (childDue >= due) break;
      const moved = items[child] as Deadline;
      dues[index] = childDue;
      items[index] = moved;
      moved.heapIndex = index;
      index = child;
    }
    dues[index] = due;
    items[index] = item;
    item.heapIndex = index;
  }

  #grow(): void {
    const larger = new Float64Array(this.#due.length * 2);
    larger.set(this.#due);
    this.#due = larger;
  }
}
