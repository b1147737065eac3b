/**
 * Goal: renewals only ever lengthen, a hold leaves the table before its release is sent, and depth is counted here.
 * Method: one session on a scripted transport; the test plays the owner, also one that answers late or out of order.
 */
import { describe, expect, test } from '@jest/globals';
import type { AcquireRequest } from '../../../../src/api/requests.ts';
import { type Bench, bench, watch } from './setup.ts';

/** A bench that holds `pool/a` under token 5, granted at 0 ms for 10 s. */
async function holding(request: AcquireRequest = { ownerId: 'me', ttlMs: 10_000 }) {
  const at = bench();
  await acquire(at, request);
  return at;
}

async function acquire(at: Bench, request: AcquireRequest = { ownerId: 'me', ttlMs: 10_000 }, token = 5, depth = 1) {
  const answer = watch(at.locks.acquire('pool/a', request, at.context()));
  await at.turn();
  at.transport.hold(at.transport.last('acquire'), { token, depth });
  await at.turn();
  return answer;
}

async function validForMs(at: Bench, token = '5'): Promise<number | undefined> {
  const held = watch(at.locks.held('pool/a', token, undefined, at.context()));
  await at.turn();
  return held.value?.validForMs;
}

describe('renew', () => {
  test('names token, owner and time, and counts from its own send', async () => {
    const at = await holding();
    await at.time.runBy(4_000);
    const answer = watch(at.locks.renew('pool/a', { fencingToken: '5', ownerId: 'me', ttlMs: 20_000 }, at.context()));
    await at.time.runBy(1_000);
    const renew = at.transport.last('renew');
    expect(renew).toMatchObject({ key: 'team/pool/a', token: 5, ownerId: 'me', ttlMs: 20_000 });
    at.transport.hold(renew);
    await at.turn();
    expect(answer.value).toMatchObject({ fencingToken: '5', validForMs: 19_550, ttlMs: 20_000, renewAfterMs: 6_666 });
    expect(await validForMs(at)).toBe(18_550);
  });

  test('never shortens: of two acknowledgements the longer counts, in either order', async () => {
    for (const order of [
      [0, 1],
      [1, 0],
    ]) {
      const at = await holding();
      void watch(at.locks.renew('pool/a', { fencingToken: '5', ttlMs: 60_000 }, at.context()));
      void watch(at.locks.renew('pool/a', { fencingToken: '5', ttlMs: 2_000 }, at.context()));
      await at.turn();
      const renewals = at.transport.sent('renew');
      for (const index of order) at.transport.hold(renewals[index] as never);
      await at.turn();
      expect(await validForMs(at)).toBe(60_000 - 50 - 1_200);
    }
  });

  test('is asked of the owner also if the token is not known here', async () => {
    const at = bench();
    const answer = watch(at.locks.renew('pool/a', { fencingToken: '8' }, at.context()));
    await at.turn();
    at.transport.hold(at.transport.last('renew'), { ownerId: 'me', ttlMs: 10_000 });
    await at.turn();
    expect(answer.value).toMatchObject({ fencingToken: '8', ownerId: 'me', validForMs: 9_750 });
    expect(await validForMs(at, '8')).toBe(9_750);
  });

  test('revives a hold that had run out here but not there', async () => {
    const at = await holding();
    await at.time.runBy(20_000);
    expect(await validForMs(at)).toBeUndefined();
    const answer = watch(at.locks.renew('pool/a', { fencingToken: '5' }, at.context()));
    await at.turn();
    at.transport.hold(at.transport.last('renew'), { ttlMs: 10_000 });
    await at.turn();
    expect(answer.value?.validForMs).toBe(9_750);
  });

  test('NOT_HELD ends the hold here, UNAVAILABLE does not', async () => {
    const at = await holding();
    const answers = [1, 2].map(() => watch(at.locks.renew('pool/a', { fencingToken: '5' }, at.context())));
    await at.turn();
    const [first, second] = at.transport.sent('renew');
    at.transport.refuse(first?.ref ?? 0, 'UNAVAILABLE');
    await at.turn();
    expect(await validForMs(at)).toBe(9_750);
    at.transport.refuse(second?.ref ?? 0, 'NOT_HELD');
    await at.turn();
    expect(await validForMs(at)).toBeUndefined();
    expect(answers.map(({ code }) => code)).toEqual(['UNAVAILABLE', 'NOT_HELD']);
  });

  test('NOT_HELD for a wrong owner says nothing about the hold', async () => {
    const at = await holding();
    void watch(at.locks.renew('pool/a', { fencingToken: '5', ownerId: 'stranger' }, at.context()));
    await at.turn();
    at.transport.refuse(at.transport.last('renew').ref, 'NOT_HELD');
    await at.turn();
    expect(await validForMs(at)).toBe(9_750);
  });

  test('a late acknowledgement does not bring back what was released or lost', async () => {
    const at = await holding();
    const renewed = watch(at.locks.renew('pool/a', { fencingToken: '5' }, at.context()));
    void watch(at.locks.release('pool/a', { fencingToken: '5' }, at.context()));
    await at.turn();
    at.transport.released(at.transport.last('release').ref);
    at.transport.hold(at.transport.last('renew'), { ttlMs: 60_000 });
    await at.turn();
    expect(renewed.code).toBe('NOT_HELD');
    expect(await validForMs(at)).toBeUndefined();
  });
});

describe('release', () => {
  test('the hold is gone before the release is sent', async () => {
    const at = await holding();
    let savedAtSend: unknown;
    at.transport.onFrame = () => (savedAtSend = at.locks.save());
    const answer = watch(at.locks.release('pool/a', { fencingToken: '5', ownerId: 'me' }, at.context()));
    await at.turn();
    expect(savedAtSend).toEqual([]);
    expect(at.transport.last('release')).toMatchObject({ key: 'team/pool/a', token: 5, ownerId: 'me', leaveDepth: 0 });
    expect(at.transport.last('release').disowned).toBeUndefined();
    at.transport.released(at.transport.last('release').ref);
    await at.turn();
    expect(answer.value).toEqual({ released: true, depth: 0 });
  });

  test('states the depth it leaves, counted here', async () => {
    const at = await holding();
    expect((await acquire(at, undefined, 5, 2)).value?.depth).toBe(2);
    // The owner counts one more, for an acquire whose grant nobody took.
    expect((await acquire(at, undefined, 5, 4)).value?.depth).toBe(3);
    for (const left of [2, 1, 0]) {
      const answer = watch(at.locks.release('pool/a', { fencingToken: '5' }, at.context()));
      await at.turn();
      expect(at.transport.last('release').leaveDepth).toBe(left);
      at.transport.released(at.transport.last('release').ref, left);
      await at.turn();
      expect(answer.value).toEqual({ released: left === 0, depth: left });
      expect((await validForMs(at)) === undefined).toBe(left === 0);
    }
  });

  test('a repeated request id is not one more depth', async () => {
    const at = await holding({ ownerId: 'me', ttlMs: 10_000, requestId: 'r1' });
    expect((await acquire(at, { ownerId: 'me', requestId: 'r1' })).value?.depth).toBe(1);
    expect((await acquire(at, { ownerId: 'me', requestId: 'r2' }, 5, 2)).value?.depth).toBe(2);
    expect((await acquire(at, { ownerId: 'me', requestId: 'r2' }, 5, 2)).value?.depth).toBe(2);
  });

  test('an inner release that was refused did not happen', async () => {
    const at = await holding();
    await acquire(at, undefined, 5, 2);
    const answer = watch(at.locks.release('pool/a', { fencingToken: '5' }, at.context()));
    await at.turn();
    at.transport.refuse(at.transport.last('release').ref, 'UNAVAILABLE', { retryAfterMs: 50 });
    await at.turn();
    expect(answer).toMatchObject({ code: 'UNAVAILABLE', details: { retryAfterMs: 50 } });
    void watch(at.locks.release('pool/a', { fencingToken: '5' }, at.context()));
    await at.turn();
    expect(at.transport.last('release').leaveDepth).toBe(1);
  });

  test('a token that is not known here is released by the owner alone', async () => {
    const at = bench();
    const answer = watch(at.locks.release('pool/a', { fencingToken: '8' }, at.context()));
    await at.turn();
    expect(at.transport.last('release').leaveDepth).toBeUndefined();
    at.transport.released(at.transport.last('release').ref, 3);
    await at.turn();
    expect(answer.value).toEqual({ released: false, depth: 3 });
  });

  test('a wrong owner takes nothing away here', async () => {
    const at = await holding();
    const answer = watch(at.locks.release('pool/a', { fencingToken: '5', ownerId: 'stranger' }, at.context()));
    await at.turn();
    at.transport.refuse(at.transport.last('release').ref, 'NOT_HELD');
    await at.turn();
    expect(answer.code).toBe('NOT_HELD');
    expect(await validForMs(at)).toBe(9_750);
  });
});

describe('a release beside a re-entry of the same owner', () => {
  test('waits until the re-entry is counted, and leaves its depth', async () => {
    const at = await holding();
    const inner = watch(at.locks.acquire('pool/a', { ownerId: 'me' }, at.context()));
    const outer = watch(at.locks.release('pool/a', { fencingToken: '5' }, at.context()));
    await at.turn();
    expect(at.transport.sent('release')).toEqual([]);
    at.transport.hold(at.transport.last('acquire'), { token: 5, depth: 2, ttlMs: 10_000 });
    await at.turn();
    expect(inner.value?.depth).toBe(2);
    expect(at.transport.last('release').leaveDepth).toBe(1);
    at.transport.released(at.transport.last('release').ref, 1);
    await at.turn();
    expect(outer.value).toEqual({ released: false, depth: 1 });
    expect(await validForMs(at)).toBe(9_750);
  });

  test.each(['queued', 'refused', 'left'] as const)('does not wait for one that was %s', async (fate) => {
    const at = await holding();
    const controller = new AbortController();
    void watch(at.locks.acquire('pool/a', { ownerId: 'me', timeoutMs: -1 }, at.context(controller.signal)));
    void watch(at.locks.release('pool/a', { fencingToken: '5' }, at.context()));
    await at.turn();
    const { ref } = at.transport.last('acquire');
    if (fate === 'refused') at.transport.refuse(ref, 'UNAVAILABLE');
    else at.transport.queued(ref);
    if (fate === 'left') controller.abort();
    await at.turn();
    expect(at.transport.last('release').leaveDepth).toBe(0);
  });

  test('answers that come in the wrong order are counted all the same', async () => {
    const at = bench();
    const [first, second] = [1, 2].map(() => watch(at.locks.acquire('pool/a', { ownerId: 'me' }, at.context())));
    await at.turn();
    const [one, two] = at.transport.sent('acquire');
    at.transport.hold(two as never, { token: 5, depth: 2 });
    at.transport.hold(one as never, { token: 5, depth: 1 });
    await at.turn();
    expect([second?.value?.depth, first?.value?.depth]).toEqual([1, 2]);
    void watch(at.locks.release('pool/a', { fencingToken: '5' }, at.context()));
    void watch(at.locks.release('pool/a', { fencingToken: '5' }, at.context()));
    await at.turn();
    expect(at.transport.sent('release').map(({ leaveDepth }) => leaveDepth)).toEqual([1, 0]);
  });

  test('a grant that comes after the hold it made was given back is void, and asked for anew', async () => {
    const at = bench();
    const first = watch(at.locks.acquire('pool/a', { ownerId: 'me', timeoutMs: -1 }, at.context()));
    void watch(at.locks.acquire('pool/a', { ownerId: 'me' }, at.context()));
    await at.turn();
    const [one, two] = at.transport.sent('acquire');
    at.transport.hold(two as never, { token: 5, depth: 2 });
    at.transport.queued(one?.ref ?? 0);
    await at.turn();
    void watch(at.locks.release('pool/a', { fencingToken: '5' }, at.context()));
    await at.turn();
    expect(at.transport.last('release').leaveDepth).toBe(0);
    at.transport.hold(one as never, { token: 5, depth: 1 });
    await at.turn();
    expect(first).toEqual({});
    expect(at.transport.last('acquire')).toMatchObject({ ownerId: 'me', timeoutMs: -1 });
    expect(at.transport.last('acquire').requestId).not.toBe(one?.requestId);
    at.transport.hold(at.transport.last('acquire'), { token: 6 });
    await at.turn();
    expect(first.value).toMatchObject({ fencingToken: '6', depth: 1 });
  });

  test('a re-entry nobody took does not end the hold of the others', async () => {
    const at = await holding();
    const controller = new AbortController();
    void watch(at.locks.acquire('pool/a', { ownerId: 'me' }, at.context(controller.signal)));
    await at.turn();
    controller.abort();
    at.transport.hold(at.transport.last('acquire'), { token: 5, depth: 2 });
    await at.turn();
    expect(at.transport.sent('release')).toMatchObject([{ leaveDepth: 1 }]);
    expect(at.transport.last('release').disowned).toBeUndefined();
    expect(await validForMs(at)).toBeGreaterThan(0);
  });
});

describe('losses', () => {
  test('a lost hold is not held any more', async () => {
    const at = await holding();
    at.transport.listener.onLost({
      kind: 'lost',
      key: 'team/pool/a',
      token: 5,
      ownerId: 'me',
      reason: 'orphaned',
      epoch: 1,
    });
    expect(await validForMs(at)).toBeUndefined();
  });

  test('held says which lock and token is none', async () => {
    const at = await holding();
    const other = watch(at.locks.held('pool/a', '6', undefined, at.context()));
    const elsewhere = watch(at.locks.held('pool/a', '5', 'other', at.context()));
    await at.turn();
    expect(other).toMatchObject({
      code: 'NOT_HELD',
      details: { lockId: 'pool/a', namespace: 'team', fencingToken: '6' },
    });
    expect(elsewhere.details).toMatchObject({ namespace: 'other' });
    expect((other.error as Error).message).toContain('pool/a');
    await at.time.runBy(9_749);
    expect(await validForMs(at)).toBe(1);
    await at.time.runBy(1);
    expect(await validForMs(at)).toBeUndefined();
  });

  test('an acknowledgement that nobody waits for any more still lengthens a hold', async () => {
    const at = await holding();
    at.transport.hold(at.transport.last('acquire'), { token: 5, ttlMs: 60_000, remainingMs: 60_000 });
    expect(await validForMs(at)).toBe(60_000 - 1_250);
  });
});
