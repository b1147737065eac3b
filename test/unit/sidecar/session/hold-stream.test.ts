/**
 * Goal: a `:hold` stream keeps its lock for exactly as long as somebody listens, and says everything that matters.
 * Method: one session on a scripted transport; the test plays the owner and the listener.
 */
import { describe, expect, test } from '@jest/globals';
import { LockkeeperError } from '../../../../src/api/codes.ts';
import type { HoldRequest } from '../../../../src/api/requests.ts';
import type { HoldEvent } from '../../../../src/api/responses.ts';
import { type Bench, type Settled, bench, watch } from './setup.ts';

interface Listening extends Bench {
  readonly events: AsyncIterator<HoldEvent>;
  readonly controller: AbortController;
  next(): Settled<IteratorResult<HoldEvent>>;
}

function listen(request: HoldRequest = {}, at: Bench = bench()): Listening {
  const controller = new AbortController();
  const asked = { ownerId: 'me', ttlMs: 10_000, timeoutMs: -1, ...request };
  const events = at.locks.hold('pool/a', asked, at.context(controller.signal))[Symbol.asyncIterator]();
  return { ...at, events, controller, next: () => watch(events.next()) };
}

/** A stream whose `granted` was read, at 0 ms; its owner answers every renewal at once if `renews`. */
async function holding({ renews = true, ...request }: HoldRequest & { renews?: boolean } = {}): Promise<Listening> {
  const at = listen(request);
  if (renews) {
    at.transport.onFrame = (operations, seen) => {
      for (const operation of operations)
        if (operation.op === 'renew') at.transport.hold(operation, { seen, ttlMs: 10_000 });
    };
  }
  const first = at.next();
  await at.turn();
  at.transport.hold(at.transport.last('acquire'), { token: 5 });
  await at.turn();
  expect(first.value?.value).toMatchObject({ event: 'granted' });
  return at;
}

describe('events', () => {
  test('queued once, granted, then pings while it is renewed', async () => {
    const at = listen();
    const queued = at.next();
    await at.turn();
    at.transport.queued(at.transport.last('acquire').ref, 3);
    await at.turn();
    expect(queued.value?.value).toEqual({ event: 'queued', position: 3 });
    const granted = at.next();
    at.transport.queued(at.transport.last('acquire').ref, 2);
    at.transport.hold(at.transport.last('acquire'), { token: 5 });
    await at.turn();
    expect(granted.value?.value).toMatchObject({ event: 'granted', hold: { fencingToken: '5', validForMs: 9_750 } });
    const ping = at.next();
    await at.time.runBy(3_250);
    at.transport.hold(at.transport.last('renew'), { ttlMs: 10_000 });
    expect(ping).toEqual({});
    await at.time.runBy(1_750);
    expect(ping.value?.value).toEqual({ event: 'ping', validForMs: 8_000 });
  });

  test('nothing is asked of the owner before the first event is wanted', async () => {
    const at = listen();
    await at.time.runBy(10_000);
    expect(at.transport.frames).toEqual([]);
  });

  test('a reader who lags costs no renewal, and finds one ping', async () => {
    const at = await holding();
    await at.time.runBy(60_000);
    expect(at.transport.sent('renew').length).toBeGreaterThan(15);
    const [ping, nothing] = [at.next(), at.next()];
    await at.turn();
    expect(ping.value?.value).toMatchObject({ event: 'ping' });
    expect(nothing).toEqual({});
  });

  test('jeopardy once, when renewals go unanswered and under half is left; then lost', async () => {
    const at = await holding({ renews: false });
    await at.time.runBy(4_874);
    const jeopardy = at.next();
    await at.turn();
    expect(jeopardy).toEqual({});
    await at.time.runBy(1);
    expect(jeopardy.value?.value).toEqual({ event: 'jeopardy', validForMs: 4_875 });
    const ping = at.next();
    await at.time.runBy(125);
    expect(ping.value?.value).toMatchObject({ event: 'ping' });
    const lost = at.next();
    await at.time.runTo(9_750);
    expect(lost.value?.value).toMatchObject({ event: 'lost', code: 'NOT_HELD', details: { reason: 'expired' } });
    expect(await at.events.next()).toEqual({ done: true, value: undefined });
    expect(at.transport.sent('release')).toEqual([]);
  });

  test('jeopardy comes again after a recovery', async () => {
    const at = await holding({ renews: false });
    const first = at.next();
    await at.time.runBy(4_900);
    at.transport.hold(at.transport.last('renew'), { ttlMs: 10_000, seen: at.transport.frames.length });
    expect(first.value?.value).toMatchObject({ event: 'jeopardy' });
    const ping = at.next();
    await at.time.runTo(5_000);
    expect(ping.value?.value).toMatchObject({ event: 'ping' });
    const second = at.next();
    await at.time.runTo(9_990);
    expect(second.value?.value).toMatchObject({ event: 'jeopardy' });
  });

  test('lost says why', async () => {
    const at = await holding();
    const lost = at.next();
    at.transport.listener.onLost({
      kind: 'lost',
      key: 'team/pool/a',
      token: 5,
      ownerId: 'me',
      reason: 'forceReleased',
      epoch: 1,
    });
    await at.turn();
    expect(lost.value?.value).toMatchObject({
      event: 'lost',
      code: 'NOT_HELD',
      message: expect.stringContaining('by force'),
      details: { reason: 'forceReleased', lockId: 'pool/a', fencingToken: '5' },
    });
    expect(await at.events.next()).toMatchObject({ done: true });
  });
});

describe('failures', () => {
  test.each(['LOCK_NOT_FOUND', 'LOCK_HELD'] as const)(
    '%s before anything was said rejects the first event',
    async (code) => {
      const at = listen({ timeoutMs: 0 });
      const first = at.next();
      await at.turn();
      at.transport.refuse(at.transport.last('acquire').ref, code);
      await at.turn();
      expect(first.code).toBe(code);
      expect(await at.events.next()).toMatchObject({ done: true });
    },
  );

  test('after queued it is the event lost', async () => {
    const at = listen({ timeoutMs: 1_000 });
    void at.next();
    await at.turn();
    at.transport.queued(at.transport.last('acquire').ref);
    const lost = at.next();
    at.transport.refuse(at.transport.last('acquire').ref, 'ACQUIRE_TIMEOUT', { waitedMs: 1_000 });
    await at.turn();
    expect(lost.value?.value).toMatchObject({ event: 'lost', code: 'ACQUIRE_TIMEOUT', details: { waitedMs: 1_000 } });
  });

  test('a session that is closed rejects the first event', async () => {
    const at = listen();
    at.locks.close('lost');
    const first = at.next();
    await at.turn();
    expect(first).toMatchObject({ code: 'UNAVAILABLE', details: { reason: 'shuttingDown' } });
  });
});

describe('a listener who goes', () => {
  test('leaves the queue', async () => {
    const at = listen();
    void at.next();
    await at.turn();
    at.transport.queued(at.transport.last('acquire').ref);
    at.controller.abort();
    await at.turn();
    expect(at.transport.last('cancel').target).toBe(at.transport.last('acquire').ref);
    expect(at.time.nextDueMs()).toBe(Infinity);
  });

  test.each(['abort', 'return'] as const)('gives the hold back: %s', async (how) => {
    const at = await holding();
    if (how === 'abort') at.controller.abort();
    else await at.events.return?.();
    await at.turn();
    expect(at.transport.last('release')).toMatchObject({ token: 5, leaveDepth: 0 });
    expect(at.transport.last('release').disowned).toBeUndefined();
    const renewals = at.transport.sent('renew').length;
    await at.time.runBy(60_000);
    expect(at.transport.sent('renew')).toHaveLength(renewals);
    expect(at.locks.save()).toEqual([]);
  });

  test('disowns a grant that it never read', async () => {
    const at = listen();
    void at.next();
    await at.turn();
    at.transport.queued(at.transport.last('acquire').ref);
    await at.turn();
    at.transport.hold(at.transport.last('acquire'), { token: 5 });
    await at.events.return?.();
    await at.turn();
    expect(at.transport.last('release')).toMatchObject({ token: 5, disowned: true });
    expect(await at.events.next()).toEqual({ done: true, value: undefined });
  });

  test('a pending read ends when the other side ends the stream', async () => {
    const at = await holding();
    const pending = at.next();
    expect(await at.events.return?.()).toEqual({ done: true, value: undefined });
    await at.turn();
    expect(pending.value).toEqual({ done: true, value: undefined });
  });

  test('an endpoint that shuts down may still say so', async () => {
    const at = await holding();
    const last = at.next();
    at.controller.abort(new LockkeeperError('UNAVAILABLE', 'stopping', { reason: 'shuttingDown' }));
    await at.turn();
    expect(last.value?.value).toEqual({
      ...{ event: 'lost', code: 'UNAVAILABLE', message: 'stopping' },
      details: { reason: 'shuttingDown' },
    });
    expect(at.transport.last('release')).toMatchObject({ token: 5, leaveDepth: 0 });
  });

  test('gives back again what the owner could not take back at first', async () => {
    const at = await holding();
    await at.events.return?.();
    await at.turn();
    at.transport.refuse(at.transport.last('release').ref, 'UNAVAILABLE', { retryAfterMs: 50 });
    await at.time.runBy(100);
    expect(at.transport.sent('release')).toHaveLength(2);
    at.transport.released(at.transport.last('release').ref);
    await at.time.runBy(60_000);
    expect(at.transport.sent('release')).toHaveLength(2);
  });

  test('and gives up when it has run out anyway', async () => {
    const at = await holding();
    at.transport.onFrame = (operations) => {
      for (const { op, ref } of operations) if (op === 'release') at.transport.refuse(ref, 'UNAVAILABLE');
    };
    await at.events.return?.();
    await at.time.runBy(120_000);
    expect(at.transport.sent('release').length).toBeLessThan(12);
    expect(at.time.nextDueMs()).toBe(Infinity);
  });

  test('takes only its own depth from a hold that others have joined', async () => {
    const at = await holding();
    const joined = watch(at.locks.acquire('pool/a', { ownerId: 'me', ttlMs: 10_000 }, at.context()));
    await at.turn();
    at.transport.hold(at.transport.last('acquire'), { token: 5, depth: 2 });
    await at.turn();
    expect(joined.value?.depth).toBe(2);
    await at.events.return?.();
    await at.turn();
    expect(at.transport.last('release').leaveDepth).toBe(1);
  });
});

describe('maxHoldMs', () => {
  test('ends the stream and gives the hold back', async () => {
    const at = await holding({ maxHoldMs: 24_500, renews: false });
    // The owner counts from its grant, which came some time after the frame from which the session counts.
    at.transport.onFrame = (operations, seen) => {
      const leftMs = 24_900 - at.time.monotonicMs();
      for (const operation of operations)
        if (operation.op === 'renew')
          at.transport.hold(operation, { seen, ttlMs: 10_000, remainingMs: Math.min(10_000, leftMs) });
    };
    await at.time.runTo(24_400);
    await at.events.next();
    const lost = at.next();
    const told = watch(at.locks.held('pool/a', '5', undefined, at.context()));
    await at.turn();
    const validUntilMs = 24_400 + (told.value?.validForMs ?? 0);
    expect(validUntilMs).toBeGreaterThan(24_500);
    await at.time.runTo(validUntilMs - 1);
    expect(at.transport.sent('release')).toEqual([]);
    await at.time.runTo(validUntilMs + 1);
    expect(lost.value?.value).toMatchObject({ event: 'lost', code: 'NOT_HELD', details: { reason: 'maxHold' } });
    expect(at.transport.last('release')).toMatchObject({ token: 5, leaveDepth: 0 });
  });

  test('of the policy, which is not known here, does the same', async () => {
    const at = await holding({ renews: false });
    at.transport.onFrame = (operations, seen) => {
      const leftMs = 20_000 - at.time.monotonicMs();
      for (const operation of operations)
        if (operation.op === 'renew')
          at.transport.hold(operation, { seen, ttlMs: 10_000, remainingMs: Math.min(10_000, leftMs) });
    };
    await at.time.runTo(19_000);
    await at.events.next();
    const lost = at.next();
    await at.time.runTo(20_000);
    expect(lost.value?.value).toMatchObject({ event: 'lost', code: 'NOT_HELD', details: { reason: 'maxHold' } });
    expect(at.transport.last('release')).toMatchObject({ token: 5, leaveDepth: 0 });
  });
});

test('a stream is not saved for a restart: it ends with its connection', async () => {
  const at = await holding();
  expect(at.locks.save()).toEqual([]);
});

test('closing the session ends every stream', async () => {
  const at = await holding();
  const lost = at.next();
  at.locks.close('lost');
  await at.turn();
  expect(lost.value?.value).toMatchObject({ event: 'lost', code: 'UNAVAILABLE', details: { reason: 'shuttingDown' } });
  expect(at.time.nextDueMs()).toBe(Infinity);
});
