/**
 * Goal: several locks or none, in one order everywhere, with what is taken kept alive.
 * Method: one session on a scripted transport; the test plays the owner.
 */
import { describe, expect, test } from '@jest/globals';
import type { AcquireAllRequest } from '../../../../src/api/requests.ts';
import type { HoldReply } from '../../../../src/api/operations.ts';
import { compareForAcquireAll } from '../../../../src/api/shard-hash.ts';
import { type Bench, bench, watch } from './setup.ts';

const ids = ['pool/c', 'pool/a', 'pool/b'];
const ordered = ids.map((lockId) => `team/${lockId}`).toSorted(compareForAcquireAll);

function start(more: Partial<AcquireAllRequest> = {}, at: Bench = bench()) {
  const controller = new AbortController();
  const request = { ids, ownerId: 'me', ttlMs: 10_000, timeoutMs: -1, ...more };
  return { ...at, controller, answer: watch(at.locks.acquireAll(request, at.context(controller.signal))) };
}

/** Grants the newest acquire. */
async function grant(at: Bench, token: number, more: Partial<HoldReply> = {}) {
  at.transport.hold(at.transport.last('acquire'), { token, ...more });
  await at.turn();
}

/** The owner answers renewals from now on. */
function renew(at: Bench) {
  at.transport.onFrame = (operations, seen) => {
    for (const operation of operations)
      if (operation.op === 'renew') at.transport.hold(operation, { seen, ttlMs: 10_000 });
  };
}

test('one after the other in the one order, answered in the order asked', async () => {
  const at = start({ metadata: { job: 'x' }, mode: 'shared' });
  for (const [index, key] of ordered.entries()) {
    await at.turn();
    expect(at.transport.sent('acquire').map((operation) => operation.key)).toEqual(ordered.slice(0, index + 1));
    expect(at.transport.last('acquire')).toMatchObject({ key, ownerId: 'me', mode: 'shared', metadata: { job: 'x' } });
    await grant(at, index + 1);
  }
  expect(at.answer.value?.holds.map(({ lockId }) => lockId)).toEqual(ids);
  expect(at.answer.value?.holds.map(({ fencingToken }) => Number(fencingToken))).toEqual(
    ids.map((lockId) => ordered.indexOf(`team/${lockId}`) + 1),
  );
});

test('one fresh owner for all if none is named', async () => {
  const at = bench();
  void watch(at.locks.acquireAll({ ids }, at.context()));
  for (let token = 1; token <= 3; token++) {
    await at.turn();
    await grant(at, token);
  }
  expect(new Set(at.transport.sent('acquire').map(({ ownerId }) => ownerId)).size).toBe(1);
  expect(at.transport.sent('acquire').map(({ timeoutMs }) => timeoutMs)).toEqual([0, 0, 0]);
});

test('an id named twice is refused', async () => {
  const at = start({ ids: ['pool/a', 'pool/b', 'pool/a'] });
  await at.turn();
  expect(at.answer).toMatchObject({ code: 'INVALID_ARGUMENT', details: { field: 'ids.2' } });
  expect(at.transport.frames).toEqual([]);
});

test('what is taken is renewed while the next is waited for, and the answer is the smallest', async () => {
  const at = start();
  renew(at);
  await at.turn();
  await grant(at, 1);
  await at.turn();
  at.transport.queued(at.transport.last('acquire').ref);
  await at.time.runBy(60_000);
  expect(at.transport.sent('renew').length).toBeGreaterThan(15);
  await grant(at, 2);
  await at.turn();
  await grant(at, 3);
  const { holds = [], validForMs = 0 } = at.answer.value ?? {};
  expect(validForMs).toBe(Math.min(...holds.map((hold) => hold.validForMs)));
  expect(validForMs).toBeGreaterThan(60_000 + 5_000);
  const renewals = at.transport.sent('renew').length;
  await at.time.runBy(60_000);
  expect(at.transport.sent('renew')).toHaveLength(renewals);
});

test('holds that are old when the last one comes are renewed before they are handed on', async () => {
  const at = start();
  await at.turn();
  await grant(at, 1);
  await at.turn();
  at.transport.queued(at.transport.last('acquire').ref);
  // The owner is silent for long enough that the first hold is under half.
  await at.time.runBy(6_000);
  await grant(at, 2);
  await at.turn();
  await grant(at, 3);
  expect(at.answer).toEqual({});
  at.transport.hold(at.transport.last('renew'), { ttlMs: 10_000 });
  await at.turn();
  expect(at.answer.value?.validForMs).toBe(15_750);
});

describe('any failure gives everything back', () => {
  async function withTwo(more: Partial<AcquireAllRequest> = {}) {
    const at = start(more);
    for (const token of [1, 2]) {
      await at.turn();
      await grant(at, token);
    }
    await at.turn();
    return at;
  }

  const tokensReleased = (at: Bench) => at.transport.sent('release').map(({ token, disowned }) => [token, disowned]);

  test('a lock that is held', async () => {
    const at = await withTwo({ timeoutMs: 0 });
    at.transport.refuse(at.transport.last('acquire').ref, 'LOCK_HELD', { lockId: 'pool/x' });
    await at.turn();
    expect(at.answer).toMatchObject({ code: 'LOCK_HELD', details: { lockId: 'pool/x' } });
    expect(tokensReleased(at)).toEqual([
      [1, true],
      [2, true],
    ]);
    expect(at.locks.save()).toEqual([]);
  });

  test('a caller who goes while one is waited for', async () => {
    const at = await withTwo();
    at.transport.queued(at.transport.last('acquire').ref);
    at.controller.abort();
    await at.turn();
    expect(at.answer.code).toBe('UNAVAILABLE');
    expect(at.transport.last('cancel').target).toBe(at.transport.last('acquire').ref);
    expect(tokensReleased(at)).toHaveLength(2);
    expect(at.time.nextDueMs()).toBeLessThan(Infinity);
    await at.time.runBy(120_000);
    expect(at.transport.sent('renew')).toEqual([]);
  });

  test('a caller who went before the last grant', async () => {
    const at = await withTwo();
    at.controller.abort();
    await grant(at, 3);
    expect(at.answer.code).toBe('UNAVAILABLE');
    expect(tokensReleased(at).map(([token]) => token)).toEqual([3, 1, 2]);
  });

  test('the loss of one that was taken', async () => {
    const at = await withTwo();
    at.transport.queued(at.transport.last('acquire').ref);
    const [first] = at.transport.sent('acquire');
    at.transport.listener.onLost({
      kind: 'lost',
      key: first?.key ?? '',
      token: 1,
      ownerId: 'me',
      reason: 'forceReleased',
      epoch: 1,
    });
    await at.turn();
    expect(at.answer).toMatchObject({ code: 'NOT_HELD', details: { reason: 'forceReleased', fencingToken: '1' } });
    expect(at.transport.last('cancel').target).toBe(at.transport.last('acquire').ref);
    expect(tokensReleased(at)).toEqual([[2, true]]);
  });

  test('the loss of one just as the last is granted', async () => {
    const at = await withTwo();
    const [first] = at.transport.sent('acquire');
    at.transport.hold(at.transport.last('acquire'), { token: 3 });
    at.transport.listener.onLost({
      kind: 'lost',
      key: first?.key ?? '',
      token: 1,
      ownerId: 'me',
      reason: 'forceReleased',
      epoch: 1,
    });
    await at.turn();
    expect(at.answer).toMatchObject({ code: 'NOT_HELD', details: { reason: 'forceReleased' } });
    expect(tokensReleased(at).map(([token]) => token)).toEqual([2, 3]);
  });

  test('the end of the session', async () => {
    const at = await withTwo();
    at.locks.close('lost');
    await at.turn();
    expect(at.answer).toMatchObject({ code: 'UNAVAILABLE', details: { reason: 'shuttingDown' } });
  });

  test('of a hold that the owner had before, only the depth taken', async () => {
    const at = bench();
    const [firstKey = ''] = ['team/pool/a', 'team/pool/b'].toSorted(compareForAcquireAll);
    const before = watch(
      at.locks.acquire(firstKey.slice('team/'.length), { ownerId: 'me', ttlMs: 10_000 }, at.context()),
    );
    await at.turn();
    await grant(at, 9);
    expect(before.value?.depth).toBe(1);
    const all = start({ ids: ['pool/a', 'pool/b'], timeoutMs: 0 }, at);
    for (let step = 0; step < 2 && all.answer.code === undefined; step++) {
      await at.turn();
      const acquire = at.transport.last('acquire');
      if (acquire.key === firstKey) await grant(at, 9, { depth: 2 });
      else at.transport.refuse(acquire.ref, 'LOCK_HELD');
    }
    await at.turn();
    expect(all.answer.code).toBe('LOCK_HELD');
    expect(at.transport.sent('release')).toMatchObject([{ token: 9, leaveDepth: 1 }]);
    expect(at.transport.last('release').disowned).toBeUndefined();
  });
});

describe('timeoutMs is for all together', () => {
  test('what is left of it goes to the next lock', async () => {
    const at = start({ timeoutMs: 10_000 });
    renew(at);
    await at.time.runBy(4_000);
    await grant(at, 1, { seen: at.transport.frames.length });
    await at.turn();
    expect(at.transport.last('acquire').timeoutMs).toBe(6_000);
    await at.time.runBy(6_000);
    at.transport.refuse(at.transport.last('acquire').ref, 'ACQUIRE_TIMEOUT', { waitedMs: 6_000 });
    await at.turn();
    expect(at.answer).toMatchObject({ code: 'ACQUIRE_TIMEOUT', details: { waitedMs: 10_000 } });
  });
});

describe('releaseAll', () => {
  test('releases each, and says of each whether it was held', async () => {
    const at = bench();
    const holds = [
      { lockId: 'pool/a', fencingToken: '1' },
      { lockId: 'pool/b', fencingToken: '2' },
    ];
    const answer = watch(at.locks.releaseAll({ holds, ownerId: 'me' }, at.context()));
    await at.turn();
    const [first, second] = at.transport.sent('release');
    expect(at.transport.frames).toHaveLength(1);
    expect(first).toMatchObject({ key: 'team/pool/a', token: 1, ownerId: 'me' });
    at.transport.released(first?.ref ?? 0);
    at.transport.refuse(second?.ref ?? 0, 'NOT_HELD');
    await at.turn();
    expect(answer.value).toEqual({
      holds: [
        { lockId: 'pool/a', released: true },
        { lockId: 'pool/b', released: false },
      ],
    });
  });

  test('an owner that cannot answer is an error', async () => {
    const at = bench();
    const answer = watch(at.locks.releaseAll({ holds: [{ lockId: 'pool/a', fencingToken: '1' }] }, at.context()));
    await at.turn();
    at.transport.refuse(at.transport.last('release').ref, 'UNAVAILABLE');
    await at.turn();
    expect(answer.code).toBe('UNAVAILABLE');
  });
});
