/**
 * Goal: while anything waits, the owners hear of the session often enough for the shortest hold that is waited for.
 * Method: count the empty frames on virtual time.
 */
import { expect, test } from '@jest/globals';
import { type Bench, bench, watch } from './setup.ts';

async function wait(at: Bench, lockId: string, ttlMs?: number) {
  const controller = new AbortController();
  const request = { timeoutMs: -1, ...(ttlMs !== undefined && { ttlMs }) };
  void watch(at.locks.acquire(lockId, request, at.context(controller.signal)));
  await at.turn();
  const acquire = at.transport.last('acquire');
  at.transport.queued(acquire.ref);
  return { acquire, leave: () => controller.abort() };
}

async function beatsIn(at: Bench, forMs: number): Promise<number> {
  const before = at.transport.heartbeats;
  await at.time.runBy(forMs);
  return at.transport.heartbeats - before;
}

test('nothing waits, nothing is sent', async () => {
  const at = bench();
  void watch(at.locks.acquire('pool/a', {}, at.context()));
  expect(await beatsIn(at, 60_000)).toBe(0);
});

test('one a second, or one each tenth of the shortest time to live that is waited for', async () => {
  const at = bench();
  const long = await wait(at, 'pool/long', 60_000);
  expect(await beatsIn(at, 10_000)).toBe(10);
  const short = await wait(at, 'pool/short', 2_000);
  expect(await beatsIn(at, 10_000)).toBe(50);
  short.leave();
  await at.time.runBy(1_000);
  expect(await beatsIn(at, 10_000)).toBe(10);
  long.leave();
  expect(await beatsIn(at, 10_000)).toBe(0);
  expect(at.time.nextDueMs()).toBe(Infinity);
});

test('other frames are no substitute: they are about other shards', async () => {
  const at = bench();
  await wait(at, 'pool/a', 60_000);
  const before = at.transport.heartbeats;
  for (let count = 0; count < 40; count++) {
    void watch(at.locks.inspect('pool/other', undefined, at.context()));
    await at.time.runBy(250);
  }
  expect(at.transport.heartbeats - before).toBe(10);
});

test.each(['granted', 'refused'] as const)('one that was %s waits no more', async (fate) => {
  const at = bench();
  const { acquire } = await wait(at, 'pool/a', 60_000);
  if (fate === 'granted') at.transport.hold(acquire);
  else at.transport.refuse(acquire.ref, 'ACQUIRE_TIMEOUT');
  expect(await beatsIn(at, 10_000)).toBe(0);
});

test('a short default time to live is remembered per pool', async () => {
  const at = bench();
  const first = await wait(at, 'pool/a');
  expect(await beatsIn(at, 3_000)).toBe(3);
  at.transport.hold(first.acquire, { ttlMs: 1_000, remainingMs: 1_000 });
  await at.turn();
  const second = await wait(at, 'pool/b');
  expect(await beatsIn(at, 3_000)).toBe(30);
  second.leave();
  await wait(at, 'other/b');
  expect(await beatsIn(at, 3_000)).toBeLessThanOrEqual(3);
});
