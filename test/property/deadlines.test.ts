/**
 * Goal: the heap of deadlines always knows the earliest, whatever is added, moved and removed.
 * Method: random changes, compared with a list that is sorted anew each time.
 */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type Deadline, DeadlineHeap } from '../../src/engine/deadlines.ts';

function deadline(): Deadline {
  return { deadlineKind: 'shard', dueAtMs: 0, heapIndex: -1 };
}

test('the earliest is the earliest, for any changes', () => {
  const change = fc.record({ which: fc.nat(30), removes: fc.boolean(), dueAtMs: fc.nat(1_000) });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 200 }), (changes) => {
      const heap = new DeadlineHeap();
      const all = Array.from({ length: 31 }, deadline);
      const present = new Set<Deadline>();
      for (const { which, removes, dueAtMs } of changes) {
        const item = all[which]!;
        if (removes) {
          heap.remove(item);
          present.delete(item);
        } else {
          heap.set(item, dueAtMs);
          present.add(item);
        }
        expect(heap.size).toBe(present.size);
        expect(heap.nextDueMs).toBe(Math.min(Number.POSITIVE_INFINITY, ...[...present].map((other) => other.dueAtMs)));
        for (const other of all) expect(other.heapIndex >= 0).toBe(present.has(other));
      }
      const order: number[] = [];
      for (let next = heap.peek(); next !== undefined; next = heap.peek()) {
        order.push(next.dueAtMs);
        heap.remove(next);
      }
      expect(order).toEqual(order.toSorted((left, right) => left - right));
    }),
    { numRuns: 200 },
  );
});

test('more deadlines than it began with room for', () => {
  const heap = new DeadlineHeap();
  const items = Array.from({ length: 1_000 }, deadline);
  for (const [index, item] of items.entries()) heap.set(item, 1_000 - index);
  expect(heap.nextDueMs).toBe(1);
  expect(heap.peek()).toBe(items[999]);
});

test('one that is infinite is taken out: it never comes', () => {
  const heap = new DeadlineHeap();
  const item = deadline();
  heap.set(item, 5);
  heap.set(item, Number.POSITIVE_INFINITY);
  expect([heap.size, item.heapIndex]).toEqual([0, -1]);
});
