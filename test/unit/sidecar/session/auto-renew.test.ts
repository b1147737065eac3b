/**
 * Goal: a hold with autoRenew lives until it is released, lost, or at its longest allowed life, and not a moment without cause.
 * Method: one session on a scripted transport whose owner answers renewals, or does not.
 */
import { describe, expect, test } from '@jest/globals';
import type { AcquireRequest } from '../../../../src/api/requests.ts';
import type { LogFields } from '../../../../src/system/logger.ts';
import { seededRandom } from '../../../../src/system/random.ts';
import { silentLog } from '../../../../src/system/logger.ts';
import { type Bench, bench, watch } from './setup.ts';

const request: AcquireRequest = { ownerId: 'me', ttlMs: 10_000, autoRenew: true, maxHoldMs: 60_000 };

async function holding(more: AcquireRequest = {}, at: Bench = bench()) {
  void watch(at.locks.acquire('pool/a', { ...request, ...more }, at.context()));
  await at.turn();
  at.transport.hold(at.transport.last('acquire'), { token: 5 });
  await at.turn();
  return at;
}

/** From now on the owner answers every renewal at once, with as much as the longest life still allows. */
function answer(at: Bench, lifeMs = Infinity) {
  const grantedAtMs = at.time.monotonicMs();
  at.transport.onFrame = (operations, seen) => {
    const leftMs = grantedAtMs + lifeMs - at.time.monotonicMs();
    for (const operation of operations)
      if (operation.op === 'renew')
        at.transport.hold(operation, { seen, ttlMs: 10_000, remainingMs: Math.min(10_000, leftMs) });
  };
}

async function isHeld(at: Bench): Promise<boolean> {
  const held = watch(at.locks.held('pool/a', '5', undefined, at.context()));
  await at.turn();
  return held.value !== undefined;
}

test('is renewed at each third of what was granted', async () => {
  const at = await holding();
  answer(at);
  await at.time.runBy(3_249);
  expect(at.transport.sent('renew')).toHaveLength(0);
  await at.time.runBy(1);
  expect(at.transport.sent('renew')).toMatchObject([{ key: 'team/pool/a', token: 5, ownerId: 'me' }]);
  await at.time.runTo(32_500);
  expect(at.transport.sent('renew')).toHaveLength(10);
  expect(await isHeld(at)).toBe(true);
});

test('without autoRenew nothing is renewed', async () => {
  const at = await holding({ autoRenew: false });
  await at.time.runBy(20_000);
  expect(at.transport.sent('renew')).toEqual([]);
});

describe('ends', () => {
  test('with the release', async () => {
    const at = await holding();
    answer(at);
    void watch(at.locks.release('pool/a', { fencingToken: '5' }, at.context()));
    await at.time.runBy(30_000);
    expect(at.transport.sent('renew')).toEqual([]);
    expect(at.time.nextDueMs()).toBe(Infinity);
  });

  test('not with an inner release', async () => {
    const at = await holding();
    await holding({}, at);
    answer(at);
    void watch(at.locks.release('pool/a', { fencingToken: '5' }, at.context()));
    await at.time.runBy(10_000);
    expect(at.transport.sent('renew').length).toBeGreaterThan(1);
  });

  test('at maxHoldMs, also if the owner would go on', async () => {
    const at = await holding();
    answer(at);
    await at.time.runTo(60_000);
    const count = at.transport.sent('renew').length;
    expect(count).toBeGreaterThan(15);
    await at.time.runTo(90_000);
    expect(at.transport.sent('renew')).toHaveLength(count);
    expect(await isHeld(at)).toBe(false);
  });

  test('without a storm of renewals when the owner itself allows no more', async () => {
    const at = await holding({ maxHoldMs: 3_600_000 });
    answer(at, 30_000);
    await at.time.runTo(29_000);
    const count = at.transport.sent('renew').length;
    expect(count).toBeLessThan(10);
    await at.time.runTo(90_000);
    expect(at.transport.sent('renew')).toHaveLength(count);
    expect(await isHeld(at)).toBe(false);
  });

  test('with a loss', async () => {
    const at = await holding();
    answer(at);
    at.transport.listener.onLost({
      kind: 'lost',
      key: 'team/pool/a',
      token: 5,
      ownerId: 'me',
      reason: 'forceReleased',
      epoch: 1,
    });
    await at.time.runBy(30_000);
    expect(at.transport.sent('renew')).toEqual([]);
  });

  test('with NOT_HELD', async () => {
    const at = await holding();
    at.transport.onFrame = (operations) => {
      for (const { op, ref } of operations) if (op === 'renew') at.transport.refuse(ref, 'NOT_HELD');
    };
    await at.time.runBy(30_000);
    expect(at.transport.sent('renew')).toHaveLength(1);
    expect(await isHeld(at)).toBe(false);
  });
});

describe('an owner that does not answer', () => {
  test.each(['silence', 'UNAVAILABLE'] as const)('%s: is asked again while any time is left', async (how) => {
    const at = await holding();
    at.transport.onFrame = (operations) => {
      for (const { op, ref } of operations)
        if (op === 'renew' && how === 'UNAVAILABLE') at.transport.refuse(ref, 'UNAVAILABLE', { retryAfterMs: 250 });
    };
    await at.time.runTo(9_749);
    const tries = at.transport.sent('renew').length;
    expect(tries).toBeGreaterThan(3);
    expect(tries).toBeLessThan(20);
    expect(await isHeld(at)).toBe(true);
    await at.time.runTo(30_000);
    expect(at.transport.sent('renew')).toHaveLength(tries);
    expect(await isHeld(at)).toBe(false);
  });

  test('a late answer still counts', async () => {
    const at = await holding();
    await at.time.runTo(9_000);
    const [first] = at.transport.sent('renew');
    at.transport.hold(first as never, { ttlMs: 10_000, seen: 2 });
    await at.time.runTo(12_000);
    expect(await isHeld(at)).toBe(true);
  });

  test('two sessions that lost the same owner do not come back together', async () => {
    const moments = [1, 2].map(async (seed) => {
      const at = await holding({}, bench({ random: seededRandom(seed) }));
      const sentAtMs: number[] = [];
      at.transport.onFrame = () => sentAtMs.push(at.time.monotonicMs());
      await at.time.runTo(9_000);
      return sentAtMs;
    });
    const [one, other] = await Promise.all(moments);
    expect(one?.[0]).toBe(other?.[0]);
    expect(one?.slice(1)).not.toEqual(other?.slice(1));
  });
});

test('a renewal of the caller moves the next one', async () => {
  const at = await holding();
  await at.time.runTo(3_000);
  void watch(at.locks.renew('pool/a', { fencingToken: '5', ttlMs: 30_000 }, at.context()));
  await at.turn();
  at.transport.hold(at.transport.last('renew'));
  await at.time.runTo(12_000);
  expect(at.transport.sent('renew')).toHaveLength(1);
  await at.time.runTo(13_000);
  expect(at.transport.sent('renew')).toHaveLength(2);
});

test('a machine that slept renews, or gives up, as soon as it wakes', async () => {
  for (const sleptMs of [6_000, 20_000]) {
    const at = await holding();
    answer(at);
    await at.time.runTo(500);
    at.time.process.suspend(sleptMs);
    await at.time.runBy(sleptMs + 1_000);
    expect(at.transport.sent('renew')).toHaveLength(sleptMs === 6_000 ? 1 : 0);
    expect(await isHeld(at)).toBe(sleptMs === 6_000);
  }
});

test('many holds are renewed in one frame', async () => {
  const at = bench();
  for (let index = 0; index < 100; index++) void watch(at.locks.acquire(`pool/${index}`, request, at.context()));
  await at.turn();
  for (const acquire of at.transport.sent('acquire')) at.transport.hold(acquire);
  await at.time.runBy(3_250);
  expect(at.transport.frames.map(({ length }) => length)).toEqual([100, 100]);
});

test('losses are logged, one line a second', async () => {
  const lines: LogFields[] = [];
  const at = bench({ log: { ...silentLog, warn: (fields) => lines.push(fields) } });
  for (let index = 0; index < 10; index++) {
    void watch(at.locks.acquire(`pool/${index}`, request, at.context()));
    await at.turn();
    at.transport.hold(at.transport.last('acquire'), { token: index + 1 });
  }
  await at.time.runBy(1_000);
  for (let index = 0; index < 10; index++) {
    const lost = { kind: 'lost', key: `team/pool/${index}`, token: index + 1, ownerId: 'me', epoch: 1 } as const;
    at.transport.listener.onLost({ ...lost, reason: 'forceReleased' });
  }
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatchObject({ code: 'NOT_HELD', reason: 'forceReleased', lockId: 'pool/0' });
});
