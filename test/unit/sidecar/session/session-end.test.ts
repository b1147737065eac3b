/**
 * Goal: a session that ends leaves nothing behind and tells everybody.
 * Method: close one in the midst of everything. The small calls are tested here too.
 */
import { describe, expect, test } from '@jest/globals';
import type { Inspection } from '../../../../src/api/operations.ts';
import { bench, watch } from './setup.ts';

test.each(['lost', 'goodbye'] as const)(
  'close(%s) fails what is under way, stops all timers and tells the transport',
  async (reason) => {
    const at = bench();
    const request = { ownerId: 'me', ttlMs: 10_000, autoRenew: true, maxHoldMs: 60_000 };
    void watch(at.locks.acquire('pool/a', request, at.context()));
    await at.turn();
    at.transport.hold(at.transport.last('acquire'), { token: 5 });
    const waiting = watch(at.locks.acquire('pool/b', { timeoutMs: -1 }, at.context()));
    await at.turn();
    at.transport.queued(at.transport.last('acquire').ref);
    const renewing = watch(at.locks.renew('pool/a', { fencingToken: '5' }, at.context()));
    const inspecting = watch(at.locks.inspect('pool/a', undefined, at.context()));
    at.locks.close(reason);
    at.locks.close(reason);
    await at.turn();
    for (const settled of [waiting, renewing, inspecting])
      expect(settled).toMatchObject({ code: 'UNAVAILABLE', details: { reason: 'shuttingDown' } });
    expect(at.transport.closedAs).toBe(reason);
    expect(at.time.nextDueMs()).toBe(Infinity);
    const frames = at.transport.frames.length;
    await at.time.runBy(60_000);
    expect(at.transport.frames).toHaveLength(frames);
  },
);

test('what was given back just before is still sent', async () => {
  const at = bench();
  void watch(at.locks.acquire('pool/a', {}, at.context()));
  await at.turn();
  at.transport.hold(at.transport.last('acquire'), { token: 5 });
  await at.turn();
  void watch(at.locks.release('pool/a', { fencingToken: '5' }, at.context()));
  at.locks.close('lost');
  expect(at.transport.last('release')).toMatchObject({ token: 5 });
});

test('a closed session answers nothing but UNAVAILABLE, and listens to nothing', async () => {
  const at = bench();
  at.locks.close('lost');
  const answers = [
    at.locks.acquire('pool/a', {}, at.context()),
    at.locks.renew('pool/a', { fencingToken: '1' }, at.context()),
    at.locks.release('pool/a', { fencingToken: '1' }, at.context()),
    at.locks.forceRelease('pool/a', { reason: 'x' }, at.context()),
    at.locks.inspect('pool/a', undefined, at.context()),
    at.locks.held('pool/a', '1', undefined, at.context()),
    at.locks.acquireAll({ ids: ['pool/a'] }, at.context()),
    at.locks.list({ prefix: '', limit: 10, continue: undefined, namespace: undefined }, at.context()),
  ].map((promise) => watch<unknown>(promise));
  at.transport.listener.onEpoch(1, 1);
  at.transport.listener.onReply({ kind: 'queued', ref: 1, position: 1 });
  await at.turn();
  for (const answer of answers) expect(answer.details).toEqual({ reason: 'shuttingDown' });
  expect(at.locks.notReadyReason()).toBe('shuttingDown');
  expect(at.transport.frames).toEqual([]);
});

test('readiness asks whether the owners can be reached', () => {
  let reason: string | undefined = 'noAuthority';
  const at = bench({ unreachableReason: () => reason });
  expect(at.locks.notReadyReason()).toBe('noAuthority');
  reason = undefined;
  expect(at.locks.notReadyReason()).toBeUndefined();
});

const free = (key: string): Inspection => ({
  ...{ key, holders: [], holderCount: 0, waiters: [], waiterCount: 0 },
  lockDelayRemainingMs: 0,
});

describe('inspect and forceRelease', () => {
  test('ask the owner', async () => {
    const at = bench();
    const record = watch(at.locks.inspect('pool/a', 'other', at.context()));
    const forced = watch(at.locks.forceRelease('pool/a', { reason: 'stuck', namespace: 'other' }, at.context()));
    await at.turn();
    expect(at.transport.last('inspect').key).toBe('other/pool/a');
    expect(at.transport.last('forceRelease')).toMatchObject({ key: 'other/pool/a', reason: 'stuck', by: 'pod-1' });
    at.transport.reply({ kind: 'inspection', ref: at.transport.last('inspect').ref, inspection: free('other/pool/a') });
    at.transport.reply({ kind: 'done', ref: at.transport.last('forceRelease').ref, ended: 2 });
    await at.turn();
    expect(record.value).toMatchObject({ lockId: 'pool/a', namespace: 'other', held: false });
    expect(forced.value).toEqual({ released: 2 });
  });
});

describe('list', () => {
  const query = { prefix: 'pool/', limit: 2, continue: undefined, namespace: undefined };

  test('goes on page by page, each from the last id', async () => {
    const at = bench();
    at.transport.listAnswer = () => Promise.resolve(['team/pool/a', 'team/pool/b'].map(free));
    const first = await at.locks.list(query, at.context());
    expect(first.items.map(({ lockId }) => lockId)).toEqual(['pool/a', 'pool/b']);
    expect(first.continue).toMatch(/^[A-Za-z0-9_-]+$/);
    at.transport.listAnswer = () => Promise.resolve([free('team/pool/c')]);
    const second = await at.locks.list({ ...query, continue: first.continue }, at.context());
    expect(second).toMatchObject({ items: [{ lockId: 'pool/c' }] });
    expect(second.continue).toBeUndefined();
    expect(at.transport.listQueries).toEqual([
      { namespace: 'team', prefix: 'pool/', after: '', limit: 2 },
      { namespace: 'team', prefix: 'pool/', after: 'pool/b', limit: 2 },
    ]);
  });

  test("shows only the namespace's own", async () => {
    const at = bench();
    at.transport.listAnswer = () => Promise.resolve(['team/pool/a', 'team-b/pool/a', 'other/pool/b'].map(free));
    const page = await at.locks.list({ ...query, limit: 10 }, at.context());
    expect(page.items.map(({ namespace }) => namespace)).toEqual(['team']);
  });

  test.each(['!', 'Li4', ''])('a foreign continue is refused: %j', async (text) => {
    const at = bench();
    const page = watch(at.locks.list({ ...query, continue: text }, at.context()));
    await at.turn();
    expect(page).toMatchObject({ code: 'INVALID_ARGUMENT', details: { field: 'continue' } });
  });

  test('a transport that fails is answered with one of our errors', async () => {
    const at = bench();
    at.transport.listAnswer = () => Promise.reject(new Error('socket'));
    const page = watch(at.locks.list(query, at.context()));
    await at.turn();
    expect(page.code).toBe('INTERNAL');
  });
});

test('a token above 2^53 - 1 is refused with its field', async () => {
  const at = bench();
  const answer = watch(at.locks.held('pool/a', '9999999999999999', undefined, at.context()));
  await at.turn();
  expect(answer).toMatchObject({ code: 'INVALID_ARGUMENT', details: { field: 'fencingToken' } });
});
