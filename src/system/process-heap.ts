/** The processes of a simulated world in the order of their next moments. */
import type { VirtualProcess } from './virtual-process.ts';

/** An indexed binary heap by `nextDueMs`: adding, removing and moving are O(log n), looking at those that are due O(their number). */
export class ProcessHeap {
  readonly #heap: VirtualProcess[] = [];
  readonly #due: VirtualProcess[] = [];

  /** The earliest moment at which any of them can run; Infinity without one. */
  get nextDueMs(): number {
    return this.#heap[0]?.nextDueMs ?? Infinity;
  }

  add(process: VirtualProcess): void {
    process.heapIndex = this.#heap.length;
    this.#heap.push(process);
    this.moved(process);
  }

  remove(process: VirtualProcess): void {
    const index = process.heapIndex;
    if (index < 0) return;
    process.heapIndex = -1;
    const last = this.#heap.pop() as VirtualProcess;
    if (last === process) return;
    this.#put(last, index);
    this.moved(last);
  }

  /** Its next moment has changed. Does nothing for one that is not here. */
  moved(process: VirtualProcess): void {
    if (process.heapIndex < 0) return;
    this.#up(process);
    this.#down(process);
  }

  /** Those that can run at this moment, in no order; the answer is good until the next call. */
  dueBy(nowMs: number): readonly VirtualProcess[] {
    const due = this.#due;
    due.length = 0;
    const first = this.#heap[0];
    if (first === undefined || first.nextDueMs > nowMs) return due;
    due.push(first);
    for (let seen = 0; seen < due.length; seen++) {
      const child = 2 * (due[seen] as VirtualProcess).heapIndex + 1;
      for (let index = child; index <= child + 1; index++) {
        const process = this.#heap[index];
        if (process !== undefined && process.nextDueMs <= nowMs) due.push(process);
      }
    }
    return due;
  }

  #put(process: VirtualProcess, index: number): void {
    this.#heap[index] = process;
    process.heapIndex = index;
  }

  #up(process: VirtualProcess): void {
    for (let index = process.heapIndex; index > 0; ) {
      const parent = this.#heap[(index - 1) >> 1] as VirtualProcess;
      if (parent.nextDueMs <= process.nextDueMs) return;
      const parentIndex = parent.heapIndex;
      this.#put(parent, index);
      this.#put(process, parentIndex);
      index = parentIndex;
    }
  }

  #down(process: VirtualProcess): void {
    for (;;) {
      const index = process.heapIndex;
      const left = this.#heap[2 * index + 1];
      const right = this.#heap[2 * index + 2];
      const child = left !== undefined && right !== undefined && right.nextDueMs < left.nextDueMs ? right : left;
      if (child === undefined || child.nextDueMs >= process.nextDueMs) return;
      const childIndex = child.heapIndex;
      this.#put(child, index);
      this.#put(process, childIndex);
    }
  }
}
