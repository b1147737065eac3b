import { PRIORITY_AGING_MS } from '../api/limits.ts';
import type { Fairness } from '../api/vocabulary.ts';
import type { Waiter } from './waiter.ts';

/** Waiters of one mode of one lock, in the order in which they are granted. */
export interface WaitQueue {
  readonly fairness: Fairness;
  readonly size: number;
  peek(): Waiter | undefined;
  add(waiter: Waiter): void;
  remove(waiter: Waiter): void;
  /** The first `count` in order of grant; for people, so O(n log n) is allowed. */
  list(count: number): Waiter[];
}

export function createWaitQueue(fairness: Fairness): WaitQueue {
  return fairness === 'Fifo' ? new FifoQueue() : new PriorityQueue();
}

/**
 * By arrival: add at the end, remove anywhere, both O(1). A waiter that returns after its silence is put back at its place by
 * walking from the front, past none but those that returned before it.
 */
export class FifoQueue implements WaitQueue {
  readonly fairness = 'Fifo';
  size = 0;
  #first: Waiter | undefined = undefined;
  #last: Waiter | undefined = undefined;

  peek(): Waiter | undefined {
    return this.#first;
  }

  add(waiter: Waiter): void {
    waiter.rank = waiter.sequence;
    this.size++;
    let next: Waiter | undefined;
    if (this.#last !== undefined && this.#last.rank > waiter.rank) {
      next = this.#first;
      while (next !== undefined && next.rank < waiter.rank) next = next.nextInQueue;
    }
    const previous = next === undefined ? this.#last : next.previousInQueue;
    waiter.nextInQueue = next;
    waiter.previousInQueue = previous;
    if (previous === undefined) this.#first = waiter;
    else previous.nextInQueue = waiter;
    if (next === undefined) this.#last = waiter;
    else next.previousInQueue = waiter;
  }

  remove(waiter: Waiter): void {
    if (waiter.previousInQueue === undefined) this.#first = waiter.nextInQueue;
    else waiter.previousInQueue.nextInQueue = waiter.nextInQueue;
    if (waiter.nextInQueue === undefined) this.#last = waiter.previousInQueue;
    else waiter.nextInQueue.previousInQueue = waiter.previousInQueue;
    waiter.nextInQueue = undefined;
    waiter.previousInQueue = undefined;
    this.size--;
  }

  list(count: number): Waiter[] {
    const listed: Waiter[] = [];
    for (let waiter = this.#first; waiter !== undefined && listed.length < count; waiter = waiter.nextInQueue)
      listed.push(waiter);
    return listed;
  }
}

/**
 * By priority that grows with the wait, one step per `PRIORITY_AGING_MS`. Since all priorities grow at one pace, the order of
 * two waiters never changes: it is the order of `queuedAtMs - priority * PRIORITY_AGING_MS`, so a plain heap on that number
 * ages for free. Ties go by arrival. Add, remove and take are O(log n).
 */
export class PriorityQueue implements WaitQueue {
  readonly fairness = 'Priority';
  readonly #heap: Waiter[] = [];

  get size(): number {
    return this.#heap.length;
  }

  peek(): Waiter | undefined {
    return this.#heap[0];
  }

  add(waiter: Waiter): void {
    waiter.rank = waiter.queuedAtMs - waiter.priority * PRIORITY_AGING_MS;
    this.#heap.push(waiter);
    this.#rise(this.#heap.length - 1, waiter);
  }

  remove(waiter: Waiter): void {
    const index = waiter.queueIndex;
    waiter.queueIndex = -1;
    const last = this.#heap.pop() as Waiter;
    if (last === waiter) return;
    this.#sink(index, last);
    this.#rise(last.queueIndex, last);
  }

  list(count: number): Waiter[] {
    return [...this.#heap].sort((left, right) => (before(left, right) ? -1 : 1)).slice(0, count);
  }

  #rise(from: number, waiter: Waiter): void {
    let index = from;
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = this.#heap[parentIndex] as Waiter;
      if (before(parent, waiter)) break;
      this.#place(index, parent);
      index = parentIndex;
    }
    this.#place(index, waiter);
  }

  #sink(from: number, waiter: Waiter): void {
    let index = from;
    for (;;) {
      let childIndex = index * 2 + 1;
      let child = this.#heap[childIndex];
      if (child === undefined) break;
      const right = this.#heap[childIndex + 1];
      if (right !== undefined && before(right, child)) {
        child = right;
        childIndex++;
      }
      if (before(waiter, child)) break;
      this.#place(index, child);
      index = childIndex;
    }
    this.#place(index, waiter);
  }

  #place(index: number, waiter: Waiter): void {
    this.#heap[index] = waiter;
    waiter.queueIndex = index;
  }
}

function before(left: Waiter, right: Waiter): boolean {
  return left.rank < right.rank || (left.rank === right.rank && left.sequence < right.sequence);
}
