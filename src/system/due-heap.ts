/** Something with a moment at which it wants to be looked at. Only the heap writes the two fields. */
export interface Due {
  dueAtMs: number;
  /** Position in the heap; -1 outside of one. */
  heapIndex: number;
}

/** Items by their due moment, the earliest first. Changes are O(log n), looking at those that are due O(their number). */
export class DueHeap<Item extends Due> {
  readonly #items: Item[] = [];
  readonly #due: Item[] = [];

  get size(): number {
    return this.#items.length;
  }

  /** Infinity if there is nothing. */
  get nextDueAtMs(): number {
    return this.#items[0]?.dueAtMs ?? Infinity;
  }

  /** All items, in no order; a copy. */
  list(): Item[] {
    return [...this.#items];
  }

  /** Adds the item, or moves it. */
  set(item: Item, dueAtMs: number): void {
    item.dueAtMs = dueAtMs;
    if (item.heapIndex === -1) item.heapIndex = this.#items.push(item) - 1;
    this.#up(item);
    this.#down(item);
  }

  remove(item: Item): void {
    const index = item.heapIndex;
    if (index === -1) return;
    item.heapIndex = -1;
    const last = this.#items.pop();
    if (last === undefined || last === item) return;
    this.#put(last, index);
    this.#up(last);
    this.#down(last);
  }

  /** Removes and returns an item that is due at `nowMs`; `undefined` if none is. */
  takeDue(nowMs: number): Item | undefined {
    const first = this.#items[0];
    if (first === undefined || first.dueAtMs > nowMs) return undefined;
    this.remove(first);
    return first;
  }

  /** Those that are due at `nowMs`, in no order; they stay. The answer is good until the next call. */
  dueBy(nowMs: number): readonly Item[] {
    const due = this.#due;
    due.length = 0;
    const first = this.#items[0];
    if (first === undefined || first.dueAtMs > nowMs) return due;
    due.push(first);
    for (let seen = 0; seen < due.length; seen++) {
      const child = 2 * (due[seen] as Item).heapIndex + 1;
      for (let index = child; index <= child + 1; index++) {
        const item = this.#items[index];
        if (item !== undefined && item.dueAtMs <= nowMs) due.push(item);
      }
    }
    return due;
  }

  #put(item: Item, index: number): void {
    this.#items[index] = item;
    item.heapIndex = index;
  }

  #up(item: Item): void {
    for (;;) {
      const index = item.heapIndex;
      const parent = this.#items[(index - 1) >> 1];
      if (index === 0 || parent === undefined || parent.dueAtMs <= item.dueAtMs) return;
      const parentIndex = parent.heapIndex;
      this.#put(parent, index);
      this.#put(item, parentIndex);
    }
  }

  #down(item: Item): void {
    for (;;) {
      const index = item.heapIndex;
      const left = this.#items[2 * index + 1];
      const right = this.#items[2 * index + 2];
      const child = right !== undefined && left !== undefined && right.dueAtMs < left.dueAtMs ? right : left;
      if (child === undefined || child.dueAtMs >= item.dueAtMs) return;
      const childIndex = child.heapIndex;
      this.#put(child, index);
      this.#put(item, childIndex);
    }
  }
}
