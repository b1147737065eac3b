/**
 * Goal: the heap gives out what is due, the earliest first, and nothing that was removed.
 * Method: random commands, compared with a sorted list.
 */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type Due, DueHeap } from '../../../src/system/due-heap.ts';

class Item implements Due {
  dueAtMs = 0;
  heapIndex = -1;
}

test('behaves as a list that is sorted all the time', () => {
  const command = fc.oneof(
    fc.record({ kind: fc.constant('set' as const), item: fc.nat(15), dueAtMs: fc.nat(50) }),
    fc.record({ kind: fc.constant('remove' as const), item: fc.nat(15), dueAtMs: fc.constant(0) }),
    fc.record({ kind: fc.constant('take' as const), item: fc.constant(0), dueAtMs: fc.nat(50) }),
  );
  fc.assert(
    fc.property(fc.array(command, { maxLength: 120 }), (commands) => {
      const heap = new DueHeap<Item>();
      const items = Array.from({ length: 16 }, () => new Item());
      const due = new Map<Item, number>();
      /** Of every item taken, when it was due and when the earliest was. */
      const takenAtMs: (number | undefined)[][] = [];
      for (const { kind, item: index, dueAtMs } of commands) {
        const item = items[index] as Item;
        if (kind === 'set') {
          heap.set(item, dueAtMs);
          due.set(item, dueAtMs);
        } else if (kind === 'remove') {
          heap.remove(item);
          due.delete(item);
        } else {
          const earliestMs = Math.min(...due.values());
          const taken = heap.takeDue(dueAtMs);
          takenAtMs.push([taken?.dueAtMs, earliestMs <= dueAtMs ? earliestMs : undefined]);
          if (taken !== undefined) due.delete(taken);
        }
        expect(heap.size).toBe(due.size);
        expect(heap.nextDueAtMs).toBe(Math.min(...due.values()));
        expect(new Set(heap.list())).toEqual(new Set(due.keys()));
        const dueBy = [...due].filter(([, atMs]) => atMs <= dueAtMs).map(([each]) => each);
        expect(heap.dueBy(dueAtMs).length).toBe(dueBy.length);
        expect(new Set(heap.dueBy(dueAtMs))).toEqual(new Set(dueBy));
      }
      for (const [takenMs, earliestMs] of takenAtMs) expect(takenMs).toBe(earliestMs);
    }),
  );
});
