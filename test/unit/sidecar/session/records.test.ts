/**
 * Goal: an inspection is shown as the API describes it.
 * Method: one inspection with everything in it, one with nothing, and wall clocks out of range.
 */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { lockRecordSchema } from '../../../../src/api/responses.ts';
import { lockRecordOf, rfc3339 } from '../../../../src/sidecar/session/records.ts';

const wallMs = Date.UTC(2026, 0, 1, 12);

test('times are for people, tokens are strings, the first holder speaks for the lock', () => {
  const holder = {
    ...({ principal: 'pod-1', ownerId: 'worker', mode: 'shared', token: 41, depth: 2, ttlMs: 15_000 } as const),
    ...{ remainingMs: 5_000, heldForMs: 60_000, metadata: { job: 'x' }, overdue: false, unclaimed: true },
  };
  const record = lockRecordOf(
    {
      key: 'team/pool/a/b',
      holders: [holder, { ...holder, ownerId: 'second', token: 42, metadata: undefined }],
      holderCount: 2,
      waiters: [{ principal: 'pod-2', ownerId: 'next', mode: 'exclusive', priority: 3, waitedMs: 2_000 }],
      waiterCount: 1,
      lockDelayRemainingMs: 0.5,
    },
    wallMs,
  );
  expect(lockRecordSchema.parse(record)).toEqual(record);
  expect(record).toMatchObject({
    lockId: 'pool/a/b',
    namespace: 'team',
    held: true,
    ownerId: 'worker',
    fencingToken: '41',
    expiresAt: '2026-01-01T12:00:05.000Z',
    metadata: { job: 'x' },
    holderCount: 2,
    waiterCount: 1,
    lockDelayRemainingMs: 1,
  });
  expect(record.holders[0]).toMatchObject({ heldSince: '2026-01-01T11:59:00.000Z', depth: 2, unclaimed: true });
  expect(record.holders[1]).toMatchObject({ ownerId: 'second', fencingToken: '42', metadata: {} });
  expect(record.waiters[0]).toEqual({
    ...{ ownerId: 'next', principal: 'pod-2', mode: 'exclusive', priority: 3 },
    waitingSince: '2026-01-01T11:59:58.000Z',
  });
});

test('a free lock has nobody', () => {
  const free = { key: 'team/l', holders: [], holderCount: 0, waiters: [], waiterCount: 0, lockDelayRemainingMs: 0 };
  const record = lockRecordOf(free, wallMs);
  expect(record).toMatchObject({ lockId: 'l', held: false, ownerId: null, fencingToken: null, expiresAt: null });
});

test('a time is the one that the platform would show', () => {
  const anyMs = fc.double({ min: 0, max: 8.64e15, noNaN: true });
  fc.assert(
    fc.property(fc.array(anyMs, { maxLength: 5 }), (moments) => {
      for (const moment of moments) {
        expect(rfc3339(moment)).toBe(new Date(moment).toISOString());
        expect(rfc3339(moment + 1)).toBe(new Date(Math.min(8.64e15, moment + 1)).toISOString());
      }
    }),
  );
});

test.each([-1e18, 1e18])('a wall clock that shows %d still gives a time', (strangeMs) => {
  expect(() => rfc3339(strangeMs)).not.toThrow();
});
