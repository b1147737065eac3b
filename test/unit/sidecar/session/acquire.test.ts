/**
 * Goal: an acquire hands on a usable hold or an error, and what nobody takes goes back to the owner.
 * Method: one session on a scripted transport and virtual time; the test plays the owner.
 */
import { describe, expect, test } from '@jest/globals';
import { LockkeeperError } from '../../../../src/api/codes.ts';
import { bench, watch } from './setup.ts';

describe('the operation', () => {
  test('carries what was asked, with a fresh owner and a request id of its own', async () => {
    const { locks, transport, context, turn } = bench();
    void watch(locks.acquire('pool/a', {}, context()));
    void watch(
      locks.acquire(
        'pool/b',
        {
          ...{ ownerId: 'me', mode: 'shared', ttlMs: 9_000, timeoutMs: -1, priority: 4 },
          ...{ metadata: { a: 'b' }, maxHoldMs: 60_000, requestId: 'mine', namespace: 'other' },
        } as never,
        context(),
      ),
    );
    void watch(locks.acquire('pool/c', {}, context()));
    await turn();
    expect(transport.frames).toHaveLength(1);
    const [first, second, third] = transport.sent('acquire');
    expect(first).toMatchObject({ key: 'team/pool/a', mode: 'exclusive', timeoutMs: 0 });
    expect(first?.ownerId).toMatch(/^[0-9a-f-]{36}$/);
    expect(third?.ownerId).not.toBe(first?.ownerId);
    expect(second).toMatchObject({ key: 'other/pool/b', ownerId: 'me', mode: 'shared', ttlMs: 9_000, timeoutMs: -1 });
    expect(second).toMatchObject({ priority: 4, metadata: { a: 'b' }, maxHoldMs: 60_000, requestId: 'mine' });
    expect(first?.requestId).toBeTruthy();
    expect(third?.requestId).not.toBe(first?.requestId);
    expect(new Set(transport.frames.flat().map(({ ref }) => ref)).size).toBe(3);
  });

  test('everything of one turn leaves as one frame, the next turn as another', async () => {
    const { locks, transport, context, turn } = bench();
    for (let index = 0; index < 50; index++) void watch(locks.acquire(`pool/${index}`, {}, context()));
    expect(transport.frames).toHaveLength(0);
    await turn();
    void watch(locks.acquire('pool/x', {}, context()));
    await turn();
    expect(transport.frames.map(({ length }) => length)).toEqual([50, 1]);
  });
});

describe('the answer', () => {
  test('is the hold, in the words of the API', async () => {
    const { time, locks, transport, context, turn } = bench();
    const answer = watch(locks.acquire('pool/a', { ownerId: 'me', ttlMs: 10_000, metadata: { job: '1' } }, context()));
    await turn();
    transport.hold(transport.last('acquire'), { token: 77 });
    await turn();
    expect(answer.value).toEqual({
      ...{ lockId: 'pool/a', namespace: 'team', ownerId: 'me', mode: 'exclusive', fencingToken: '77', depth: 1 },
      ...{ ttlMs: 10_000, validForMs: 9_750, renewAfterMs: 3_333, metadata: { job: '1' } },
      expiresAt: new Date(time.wallMs() + 9_750).toISOString(),
    });
  });

  test('validForMs counts from the request, its end from the send of the frame that was seen', async () => {
    const { time, locks, transport, context, turn } = bench();
    const answer = watch(locks.acquire('pool/a', { ttlMs: 10_000 }, context()));
    await time.runBy(0);
    // The answer takes 3 s: the deadline does not move for it.
    await time.runBy(3_000);
    transport.hold(transport.last('acquire'));
    await turn();
    expect(answer.value).toMatchObject({ validForMs: 9_750, renewAfterMs: 3_333 });
  });

  test('a hold granted after a long wait is usable, and not for longer than it was given', async () => {
    const { time, locks, transport, context, turn } = bench();
    const answer = watch(locks.acquire('pool/a', { ttlMs: 10_000, timeoutMs: -1 }, context()));
    await turn();
    transport.queued(transport.last('acquire').ref);
    await time.runBy(60_500);
    const seen = transport.frames.length;
    await time.runBy(2_500);
    // Set when the heartbeat of 60,000 ms had been seen; received 3 s after that.
    transport.hold(transport.last('acquire'), { seen });
    await turn();
    expect(answer.value).toMatchObject({ validForMs: 60_000 + 9_750, renewAfterMs: 60_000 + 3_333 });
    expect(Date.parse(answer.value?.expiresAt ?? '')).toBe(time.wallMs() + 6_750);
  });

  test('a machine that slept meanwhile has less time left', async () => {
    const { time, locks, transport, context, turn } = bench();
    const answer = watch(locks.acquire('pool/a', { ttlMs: 20_000 }, context()));
    await turn();
    time.process.suspend(5_000);
    await time.runBy(5_000);
    transport.hold(transport.last('acquire'));
    await turn();
    expect(answer.value?.validForMs).toBe(20_000 - 450 - 5_000);
  });

  test('an error keeps its code, its details and the words for them', async () => {
    const { locks, transport, context, turn } = bench();
    const answer = watch(locks.acquire('pool/a', {}, context()));
    await turn();
    const details = { lockId: 'pool/a', namespace: 'team', waiterCount: 2, retryAfterMs: 40 };
    transport.refuse(transport.last('acquire').ref, 'LOCK_HELD', details);
    await turn();
    expect(answer).toMatchObject({ code: 'LOCK_HELD', details });
    expect((answer.error as Error).message).toContain('pool/a');
  });
});

describe('a grant with under half its time left', () => {
  async function lateGrant() {
    const at = bench();
    const answer = watch(at.locks.acquire('pool/a', { ttlMs: 10_000, timeoutMs: -1 }, at.context()));
    await at.turn();
    await at.time.runBy(5_100);
    at.transport.hold(at.transport.last('acquire'), { token: 5, seen: 1 });
    await at.turn();
    return { ...at, answer };
  }

  test('is renewed before it is handed on', async () => {
    const { transport, turn, answer } = await lateGrant();
    expect(answer).toEqual({});
    expect(transport.last('renew')).toMatchObject({ key: 'team/pool/a', token: 5 });
    transport.hold(transport.last('renew'), { ttlMs: 10_000, remainingMs: 10_000 });
    await turn();
    expect(answer.value).toMatchObject({ fencingToken: '5', validForMs: 5_100 + 9_750 });
  });

  test('is handed on as it is if nobody renews it in time', async () => {
    const { transport, turn, answer } = await lateGrant();
    transport.refuse(transport.last('renew').ref, 'UNAVAILABLE');
    await turn();
    expect(answer.value).toMatchObject({ fencingToken: '5', validForMs: 9_750 });
  });

  test('is not handed on if it turns out to be gone', async () => {
    const { transport, turn, answer } = await lateGrant();
    transport.refuse(transport.last('renew').ref, 'NOT_HELD');
    await turn();
    expect(answer.code).toBe('NOT_HELD');
    expect(transport.sent('release')).toEqual([]);
  });

  test('is given back if it ran out on the way', async () => {
    const { time, transport, answer } = await lateGrant();
    await time.runBy(5_000);
    transport.refuse(transport.last('renew').ref, 'UNAVAILABLE');
    await time.runBy(0);
    expect(answer.code).toBe('UNAVAILABLE');
    expect(transport.last('release')).toMatchObject({ token: 5, disowned: true });
  });

  test('is given back if the caller leaves while it is renewed', async () => {
    const at = bench();
    const controller = new AbortController();
    const answer = watch(at.locks.acquire('pool/a', { ttlMs: 10_000, timeoutMs: -1 }, at.context(controller.signal)));
    await at.time.runBy(5_100);
    at.transport.hold(at.transport.last('acquire'), { token: 5, seen: 1 });
    await at.turn();
    controller.abort();
    await at.turn();
    expect(answer).toMatchObject({ code: 'UNAVAILABLE', details: { reason: 'disconnected' } });
    expect(at.transport.last('release')).toMatchObject({ token: 5, disowned: true });
    at.transport.hold(at.transport.last('renew'), { ttlMs: 10_000 });
    await at.turn();
    expect(at.locks.save()).toEqual([]);
  });
});

describe('a caller who leaves', () => {
  async function queued() {
    const at = bench();
    const controller = new AbortController();
    const answer = watch(at.locks.acquire('pool/a', { timeoutMs: -1 }, at.context(controller.signal)));
    await at.turn();
    const acquire = at.transport.last('acquire');
    at.transport.queued(acquire.ref);
    await at.turn();
    return { ...at, controller, answer, acquire };
  }

  test('leaves the queue', async () => {
    const { transport, turn, controller, answer, acquire } = await queued();
    controller.abort();
    await turn();
    expect(transport.last('cancel')).toMatchObject({ key: 'team/pool/a', target: acquire.ref });
    expect(answer).toMatchObject({ code: 'UNAVAILABLE', details: { reason: 'disconnected' } });
  });

  test('is told the reason of the abort if it is one of ours', async () => {
    const { turn, controller, answer } = await queued();
    const reason = new LockkeeperError('UNAVAILABLE', 'stopping', { reason: 'shuttingDown' });
    controller.abort(reason);
    await turn();
    expect(answer.error).toBe(reason);
  });

  test('disowns a grant that comes after the leaving', async () => {
    const { transport, turn, controller, acquire, locks, context } = await queued();
    controller.abort();
    await turn();
    transport.hold(acquire, { token: 9 });
    await turn();
    expect(transport.last('release')).toMatchObject({ key: 'team/pool/a', token: 9, disowned: true, leaveDepth: 0 });
    const held = watch(locks.held('pool/a', '9', undefined, context()));
    await turn();
    expect(held.code).toBe('NOT_HELD');
  });

  test('disowns a grant of a try-lock, which nobody read', async () => {
    const { locks, transport, context, turn } = bench();
    const controller = new AbortController();
    const answer = watch(locks.acquire('pool/a', {}, context(controller.signal)));
    await turn();
    controller.abort();
    transport.hold(transport.last('acquire'), { token: 3 });
    await turn();
    expect(answer.code).toBe('UNAVAILABLE');
    expect(transport.last('release')).toMatchObject({ token: 3, disowned: true });
  });

  test('leaves no listener behind, whichever way the acquire ends', async () => {
    const { locks, transport, context, turn } = bench();
    const controller = new AbortController();
    const { signal } = controller;
    let listeners = 0;
    const { addEventListener, removeEventListener } = signal;
    Object.assign(signal, {
      addEventListener: (...all: Parameters<typeof addEventListener>) => (
        listeners++, addEventListener.apply(signal, all)
      ),
      removeEventListener: (...all: Parameters<typeof removeEventListener>) => (
        listeners--, removeEventListener.apply(signal, all)
      ),
    });
    for (const lockId of ['pool/a', 'pool/b', 'pool/c']) {
      void watch(locks.acquire(lockId, { timeoutMs: -1 }, context(signal)));
      await turn();
      transport.queued(transport.last('acquire').ref);
    }
    expect(listeners).toBe(3);
    const [granted, refused] = transport.sent('acquire');
    transport.hold(granted as never);
    transport.refuse(refused?.ref ?? 0, 'ACQUIRE_TIMEOUT');
    locks.close('lost');
    await turn();
    expect(listeners).toBe(0);
  });
});

describe('one grant for two requests', () => {
  test('a grant that answers a living request too is not disowned for the one that left', async () => {
    const { locks, transport, context, turn } = bench();
    const controller = new AbortController();
    void watch(locks.acquire('pool/a', { timeoutMs: -1, requestId: 'r' }, context(controller.signal)));
    const retry = watch(locks.acquire('pool/a', { timeoutMs: -1, requestId: 'r' }, context()));
    await turn();
    const [first, second] = transport.sent('acquire');
    transport.queued(first?.ref ?? 0);
    controller.abort();
    await turn();
    transport.hold(first as never, { token: 4 });
    transport.hold(second as never, { token: 4 });
    await turn();
    expect(retry.value?.fencingToken).toBe('4');
    expect(transport.sent('release')).toEqual([]);
  });

  test('a grant whose twin was disowned is void, and asked for again', async () => {
    const { locks, transport, context, turn } = bench();
    const controller = new AbortController();
    void watch(locks.acquire('pool/a', { timeoutMs: -1, requestId: 'r' }, context(controller.signal)));
    const retry = watch(locks.acquire('pool/a', { timeoutMs: -1, requestId: 'r' }, context()));
    await turn();
    const [first, second] = transport.sent('acquire');
    transport.queued(first?.ref ?? 0);
    controller.abort();
    await turn();
    transport.hold(first as never, { token: 4 });
    await turn();
    expect(transport.last('release')).toMatchObject({ token: 4, disowned: true });
    transport.hold(second as never, { token: 4 });
    await turn();
    expect(retry).toEqual({});
    transport.hold(transport.last('acquire'), { token: 5 });
    await turn();
    expect(retry.value?.fencingToken).toBe('5');
  });

  test('a loss that overtakes its grant makes the grant void', async () => {
    const { locks, transport, context, turn } = bench();
    const answer = watch(locks.acquire('pool/a', {}, context()));
    await turn();
    const acquire = transport.last('acquire');
    transport.listener.onLost({
      kind: 'lost',
      key: acquire.key,
      token: 4,
      ownerId: acquire.ownerId,
      reason: 'forceReleased',
      epoch: 1,
    });
    transport.hold(acquire, { token: 4 });
    await turn();
    expect(answer).toEqual({});
    expect(transport.sent('acquire')).toHaveLength(2);
  });
});

describe('bounds', () => {
  test('autoRenew needs its end', async () => {
    const { locks, transport, context, turn } = bench();
    const answer = watch(locks.acquire('pool/a', { autoRenew: true }, context()));
    await turn();
    expect(answer).toMatchObject({ code: 'INVALID_ARGUMENT', details: { field: 'maxHoldMs' } });
    expect(transport.frames).toEqual([]);
  });

  test('requests beyond the bound are refused here', async () => {
    const { locks, context } = bench();
    const request = context();
    for (let index = 0; index < 200_000; index++)
      locks.acquire(`pool/${index}`, { ownerId: 'me' }, request).catch(() => {});
    const over = watch(locks.acquire('pool/over', {}, request));
    const release = watch(locks.release('pool/over', { fencingToken: '1' }, request));
    await Promise.allSettled([locks.hold('pool/over', {}, request)[Symbol.asyncIterator]().next()]);
    expect(over).toMatchObject({ code: 'QUEUE_FULL', details: { limit: 200_000 } });
    expect(release.code).toBe('QUEUE_FULL');
  }, 60_000);

  test('a large turn leaves in several frames, in order', async () => {
    const { locks, transport, context, turn } = bench();
    for (let index = 0; index < 2_500; index++) locks.acquire(`pool/${index}`, {}, context()).catch(() => {});
    await turn();
    expect(transport.frames.map(({ length }) => length)).toEqual([1_024, 1_024, 452]);
    expect(transport.sent('acquire').map(({ key }) => key)).toEqual(
      Array.from({ length: 2_500 }, (_, index) => `team/pool/${index}`),
    );
  });
});

test('a transport that answers within the send is understood', async () => {
  const { locks, transport, context, turn } = bench();
  transport.onFrame = (operations, frame) => {
    for (const operation of operations) transport.hold(operation, { token: 6, seen: frame });
  };
  const answer = watch(locks.acquire('pool/a', { ttlMs: 10_000 }, context()));
  await turn();
  expect(answer.value).toMatchObject({ fencingToken: '6', validForMs: 9_750 });
});
