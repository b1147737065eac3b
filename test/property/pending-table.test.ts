/**
 * Goal: a request is found under every number it was asked with, however many come and go.
 * Method: random commands, compared with a Map.
 */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { InspectRequest } from '../../src/sidecar/session/inspect-request.ts';
import type { PendingRequest } from '../../src/sidecar/session/pending-request.ts';
import { PendingTable } from '../../src/sidecar/session/pending-table.ts';

const request = (): PendingRequest =>
  new InspectRequest(
    'team/pool/a',
    () => {},
    () => {},
  );

test('behaves as a Map of numbers', () => {
  // Few numbers far apart as well as many close together, so that places collide.
  const ref = fc.oneof(
    fc.integer({ min: 1, max: 40 }),
    fc.integer({ min: 2 ** 32 - 20, max: 2 ** 32 + 20 }),
    fc.maxSafeNat(),
  );
  const command = fc.tuple(fc.constantFrom('set', 'delete', 'get'), ref);
  fc.assert(
    fc.property(fc.array(command, { maxLength: 300 }), (commands) => {
      const table = new PendingTable();
      const map = new Map<number, PendingRequest>();
      for (const [kind, number] of commands) {
        if (kind === 'set') {
          const added = request();
          added.ref = number;
          table.set(number, added);
          map.set(number, added);
        } else if (kind === 'delete') {
          table.delete(number);
          map.delete(number);
        }
        expect(table.get(number)).toBe(map.get(number));
        expect(table.size).toBe(map.size);
      }
      for (const [number, expected] of map) expect(table.get(number)).toBe(expected);
      expect(new Set(table.list())).toEqual(new Set(map.values()));
    }),
  );
});

test('grows, and finds what stays among much that comes and goes', () => {
  const table = new PendingTable();
  const staying = new Map<number, PendingRequest>();
  for (let ref = 1; ref <= 100_000; ref++) {
    const added = request();
    added.ref = ref;
    table.set(ref, added);
    if (ref % 20 === 0) staying.set(ref, added);
    if (ref > 600 && (ref - 600) % 20 !== 0) table.delete(ref - 600);
  }
  expect(table.size).toBe(5_000 + 570);
  for (const [ref, expected] of staying) expect(table.get(ref)).toBe(expected);
  table.clear();
  expect(table.size).toBe(0);
  expect(table.get(20)).toBeUndefined();
});

test('a request that was asked again is listed once', () => {
  const table = new PendingTable();
  const asked = request();
  for (const ref of [1, 2, 3]) {
    asked.ref = ref;
    table.set(ref, asked);
  }
  expect(table.size).toBe(3);
  expect(table.list()).toEqual([asked]);
});
