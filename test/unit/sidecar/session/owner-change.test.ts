/**
 * Goal: after a change of a shard's owner the holds are declared first, then everything outstanding is asked again, and
 * nothing that the earlier owner still says is believed.
 * Method: one session on a scripted transport; the test plays both owners.
 */
import { describe, expect, test } from '@jest/globals';
import type { AcquireRequest } from '../../../../src/api/requests.ts';
import { shardOf } from '../../../../src/api/shard-hash.ts';
import { type Bench, bench, watch } from './setup.ts';

const key = 'team/pool/a';
const shard = shardOf(key);

async function take(at: Bench, lockId: string, token: number, request: AcquireRequest = {}) {
  const answer = watch(at.locks.acquire(lockId, { ownerId: 'me', ttlMs: 10_000, ...request }, at.context()));
  await at.turn();
  at.transport.hold(at.transport.last('acquire'), { token });
  await at.turn();
  return answer;
}

async function heldForMs(at: Bench, token = '5'): Promise<number | undefined> {
  const held = watch(at.locks.held('pool/a', token, undefined, at.context()));
  await at.turn();
  return held.value?.validForMs;
}

describe('order', () => {
  test('holds, then what was outstanding, then what is new; complete once all is answered', async () => {
    const at = bench();
    await take(at, 'pool/a', 5);
    const waiting = watch(at.locks.acquire('pool/a', { timeoutMs: -1 }, at.context()));
    await at.turn();
    const before = at.transport.last('acquire');
    at.transport.queued(before.ref);
    at.transport.listener.onEpoch(shard, 2);
    void watch(at.locks.renew('pool/a', { fencingToken: '5' }, at.context()));
    await at.turn();
    const frame = at.transport.frames.at(-1) ?? [];
    expect(frame.map(({ op }) => op)).toEqual(['reclaim', 'acquire', 'renew']);
    expect(frame[0]).toMatchObject({ key, token: 5, ownerId: 'me', mode: 'exclusive', depth: 1, ttlMs: 10_000 });
    expect(at.transport.completions).toEqual([]);
    at.transport.hold(at.transport.last('reclaim'), { epoch: 2 });
    expect(at.transport.completions).toEqual([at.transport.frames.length]);

    const again = at.transport.last('acquire');
    expect(again).toMatchObject({ requestId: before.requestId, ownerId: before.ownerId });
    expect(again.ref).not.toBe(before.ref);
    at.transport.hold(again, { token: 6, epoch: 2 });
    await at.turn();
    expect(waiting.value?.fencingToken).toBe('6');
  });

  test('one completion for each shard, to the owner that was told, after its last answer', async () => {
    const at = bench();
    const others = Array.from({ length: 40 }, (_, index) => `pool/${index}`).filter(
      (lockId) => shardOf(`team/${lockId}`) !== shard,
    );
    const other = others[0] as string;
    await take(at, 'pool/a', 5);
    await take(at, other, 6);
    at.transport.listener.onEpoch(shard, 2);
    at.transport.listener.onEpoch(shardOf(`team/${other}`), 4);
    await at.turn();
    const reclaims = at.transport.sent('reclaim');
    expect(reclaims).toHaveLength(2);
    at.transport.hold(reclaims.find((reclaim) => reclaim.key === key) as never, { epoch: 2 });
    expect(at.transport.completed).toEqual([[shard, 2]]);
    at.transport.hold(reclaims.find((reclaim) => reclaim.key !== key) as never, { epoch: 4 });
    expect(at.transport.completed).toEqual([
      [shard, 2],
      [shardOf(`team/${other}`), 4],
    ]);
  });

  test('an owner that took over meanwhile and was told nothing hears of no completion', async () => {
    const at = bench();
    const other = Array.from({ length: 40 }, (_, index) => `pool/${index}`).find(
      (lockId) => shardOf(`team/${lockId}`) !== shard,
    ) as string;
    await take(at, 'pool/a', 5);
    await take(at, other, 6);
    at.transport.listener.onEpoch(shardOf(`team/${other}`), 2);
    await at.turn();
    const reclaim = at.transport.last('reclaim');
    // The news and the answer lie in one turn: the hold in the first shard is not declared yet.
    at.transport.listener.onEpoch(shard, 2);
    at.transport.hold(reclaim, { epoch: 2 });
    expect(at.transport.completed).toEqual([[shardOf(`team/${other}`), 2]]);
    await at.turn();
    at.transport.hold(at.transport.last('reclaim'), { epoch: 2 });
    expect(at.transport.completed.at(-1)).toEqual([shard, 2]);
  });

  test('what a new owner refuses because it was told nothing yet is asked again after the declaration', async () => {
    const at = bench();
    await take(at, 'pool/a', 5);
    const renewing = watch(at.locks.renew('pool/a', { fencingToken: '5' }, at.context()));
    await at.turn();
    at.transport.listener.onEpoch(shard, 2);
    at.transport.refuse(at.transport.last('renew').ref, 'NOT_HELD');
    await at.turn();
    expect(at.transport.frames.at(-1)?.map(({ op }) => op)).toEqual(['reclaim', 'renew']);
    at.transport.hold(at.transport.last('reclaim'), { epoch: 2 });
    at.transport.hold(at.transport.last('renew'), { epoch: 2, ttlMs: 10_000 });
    await at.turn();
    expect(renewing.value?.fencingToken).toBe('5');
    expect(await heldForMs(at)).toBeGreaterThan(0);
  });

  test('a session without holds is complete at once', async () => {
    const at = bench();
    at.transport.listener.onEpoch(shard, 1);
    await at.turn();
    expect(at.transport.completions).toHaveLength(1);
    expect(at.transport.frames).toHaveLength(0);
  });

  test('other shards are left alone', async () => {
    const at = bench();
    await take(at, 'pool/a', 5);
    void watch(at.locks.renew('pool/a', { fencingToken: '5' }, at.context()));
    await at.turn();
    at.transport.listener.onEpoch((shard + 1) % 32, 9);
    await at.turn();
    expect(at.transport.sent('reclaim')).toEqual([]);
    expect(at.transport.sent('renew')).toHaveLength(1);
  });

  test('the new owner is asked to wait only for what is left of the timeout', async () => {
    const at = bench();
    void watch(at.locks.acquire('pool/a', { timeoutMs: 10_000 }, at.context()));
    await at.time.runBy(4_000);
    at.transport.queued(at.transport.last('acquire').ref);
    at.transport.listener.onEpoch(shard, 2);
    await at.turn();
    expect(at.transport.last('acquire').timeoutMs).toBe(6_000);
    await at.time.runBy(9_000);
    at.transport.listener.onEpoch(shard, 3);
    await at.turn();
    expect(at.transport.last('acquire').timeoutMs).toBe(1);
  });
});

describe('the earlier owner', () => {
  test('its acknowledgements are void, and the requests are asked again', async () => {
    const at = bench();
    await take(at, 'pool/a', 5);
    const renewed = watch(at.locks.renew('pool/a', { fencingToken: '5', ttlMs: 60_000 }, at.context()));
    await at.turn();
    const old = at.transport.last('renew');
    at.transport.listener.onEpoch(shard, 2);
    await at.turn();
    at.transport.hold(old, { epoch: 1 });
    await at.turn();
    expect(renewed).toEqual({});
    expect(await heldForMs(at)).toBe(9_750);
    at.transport.hold(at.transport.last('renew'), { epoch: 2 });
    await at.turn();
    expect(renewed.value?.validForMs).toBe(60_000 - 1_250);
  });

  test('its late grant is neither used nor disowned: the new owner may have handed on the same one', async () => {
    const at = bench();
    const answer = watch(at.locks.acquire('pool/a', { ttlMs: 10_000 }, at.context()));
    await at.turn();
    const old = at.transport.last('acquire');
    at.transport.listener.onEpoch(shard, 2);
    await at.turn();
    at.transport.hold(old, { token: 5, epoch: 1 });
    await at.turn();
    expect(answer).toEqual({});
    at.transport.hold(at.transport.last('acquire'), { token: 5, epoch: 2 });
    await at.turn();
    expect(answer.value?.fencingToken).toBe('5');
    at.transport.hold(old, { token: 5, epoch: 1 });
    await at.turn();
    expect(at.transport.sent('release')).toEqual([]);
  });

  test('a late error of it does not end what the new owner is asked', async () => {
    const at = bench();
    const answer = watch(at.locks.acquire('pool/a', {}, at.context()));
    await at.turn();
    const old = at.transport.last('acquire');
    at.transport.listener.onEpoch(shard, 2);
    await at.turn();
    at.transport.refuse(old.ref, 'LOCK_HELD');
    await at.turn();
    expect(answer).toEqual({});
  });

  test('a grant for the earlier number is taken if the new owner made it', async () => {
    const at = bench();
    const answer = watch(at.locks.acquire('pool/a', {}, at.context()));
    await at.turn();
    const old = at.transport.last('acquire');
    at.transport.listener.onEpoch(shard, 2);
    await at.turn();
    at.transport.hold(old, { token: 5, epoch: 2 });
    await at.turn();
    expect(answer.value).toMatchObject({ fencingToken: '5', depth: 1 });
    at.transport.hold(at.transport.last('acquire'), { token: 5, epoch: 2 });
    await at.turn();
    expect(at.transport.sent('release')).toEqual([]);
  });

  test('an answer of an older epoch to a newer request is asked again, but not for ever', async () => {
    const at = bench();
    at.transport.listener.onEpoch(shard, 2);
    const answer = watch(at.locks.acquire('pool/a', {}, at.context()));
    await at.turn();
    for (let count = 0; count < 40 && answer.code === undefined; count++) {
      at.transport.hold(at.transport.last('acquire'), { epoch: 1 });
      await at.turn();
    }
    expect(answer).toMatchObject({ code: 'UNAVAILABLE', details: { reason: 'noAuthority' } });
    expect(at.transport.sent('acquire').length).toBeGreaterThan(5);
  });

  test('its word on a loss is void', async () => {
    const at = bench();
    await take(at, 'pool/a', 5);
    at.transport.listener.onEpoch(shard, 2);
    at.transport.listener.onLost({ kind: 'lost', key, token: 5, ownerId: 'me', reason: 'expired', epoch: 1 });
    expect(await heldForMs(at)).toBe(9_750);
  });

  test('a newer epoch in a reply is as good as being told', async () => {
    const at = bench();
    await take(at, 'pool/a', 5);
    void watch(at.locks.acquire('pool/a', {}, at.context()));
    await at.turn();
    at.transport.hold(at.transport.last('acquire'), { token: 6, epoch: 2 });
    await at.turn();
    expect(at.transport.sent('reclaim')).toMatchObject([{ token: 5 }]);
  });
});

describe('declarations', () => {
  test("the new owner's reckoning replaces the earlier one's", async () => {
    const at = bench();
    await take(at, 'pool/a', 5, { ttlMs: 60_000 });
    at.transport.listener.onEpoch(shard, 2);
    await at.turn();
    at.transport.hold(at.transport.last('reclaim'), { epoch: 2, remainingMs: 20_000 });
    expect(await heldForMs(at)).toBe(20_000 - 450);
  });

  test('a refused hold is lost', async () => {
    const at = bench();
    await take(at, 'pool/a', 5);
    at.transport.listener.onEpoch(shard, 2);
    await at.turn();
    at.transport.refuse(at.transport.last('reclaim').ref, 'NOT_HELD');
    expect(await heldForMs(at)).toBeUndefined();
    expect(at.transport.completions).toHaveLength(1);
  });

  test('is repeated while the owner cannot answer, and complete only then', async () => {
    const at = bench();
    await take(at, 'pool/a', 5);
    at.transport.listener.onEpoch(shard, 2);
    await at.turn();
    at.transport.refuse(at.transport.last('reclaim').ref, 'UNAVAILABLE');
    expect(await heldForMs(at)).toBe(9_750);
    await at.time.runBy(400);
    expect(at.transport.sent('reclaim')).toHaveLength(2);
    expect(at.transport.completions).toHaveLength(0);
    at.transport.hold(at.transport.last('reclaim'), { epoch: 2 });
    expect(at.transport.completions).toHaveLength(1);
  });

  test('a renewal does not overtake a declaration that waits for its next try', async () => {
    const at = bench();
    await take(at, 'pool/a', 5);
    at.transport.listener.onEpoch(shard, 2);
    await at.turn();
    at.transport.refuse(at.transport.last('reclaim').ref, 'UNAVAILABLE');
    void watch(at.locks.renew('pool/a', { fencingToken: '5' }, at.context()));
    await at.turn();
    expect(at.transport.frames.at(-1)?.map(({ op }) => op)).toEqual(['reclaim', 'renew']);
  });

  test('a hold that ran out is not declared', async () => {
    const at = bench();
    await take(at, 'pool/a', 5);
    await at.time.runBy(9_800);
    at.transport.listener.onEpoch(shard, 2);
    await at.turn();
    expect(at.transport.sent('reclaim')).toEqual([]);
  });

  test('over two changes in a row a hold is declared to the second owner too, and completion waits for that', async () => {
    const at = bench();
    await take(at, 'pool/a', 5);
    at.transport.listener.onEpoch(shard, 2);
    await at.turn();
    const first = at.transport.last('reclaim');
    at.transport.listener.onEpoch(shard, 3);
    await at.turn();
    expect(at.transport.sent('reclaim')).toHaveLength(2);
    at.transport.hold(first, { epoch: 2 });
    await at.turn();
    expect(at.transport.completions).toHaveLength(0);
    at.transport.hold(at.transport.last('reclaim'), { epoch: 3 });
    expect(at.transport.completions).toHaveLength(1);
  });

  test('depth and time to live are declared as they are known here', async () => {
    const at = bench();
    await take(at, 'pool/a', 5, { metadata: { job: 'x' } });
    await take(at, 'pool/a', 5, { ttlMs: 20_000, metadata: { job: 'x' } });
    at.transport.listener.onEpoch(shard, 2);
    await at.turn();
    expect(at.transport.last('reclaim')).toMatchObject({ depth: 2, ttlMs: 20_000, metadata: { job: 'x' } });
  });
});

describe('releases under way', () => {
  test('wait for an acquire of the same owner that is asked again, which may now be a re-entry', async () => {
    const at = bench();
    await take(at, 'pool/a', 5);
    void watch(at.locks.acquire('pool/a', { ownerId: 'me', timeoutMs: -1 }, at.context()));
    await at.turn();
    at.transport.queued(at.transport.last('acquire').ref);
    at.transport.listener.onEpoch(shard, 2);
    await at.turn();
    void watch(at.locks.release('pool/a', { fencingToken: '5' }, at.context()));
    await at.turn();
    expect(at.transport.sent('release')).toEqual([]);
    at.transport.hold(at.transport.last('acquire'), { token: 5, epoch: 2, depth: 2 });
    await at.turn();
    expect(at.transport.sent('release')).toMatchObject([{ leaveDepth: 1 }]);
  });

  async function releasing(lockId: string) {
    const at = bench();
    await take(at, lockId, 5);
    const released = watch(at.locks.release(lockId, { fencingToken: '5' }, at.context()));
    await at.turn();
    at.transport.listener.onEpoch(shardOf(`team/${lockId}`), 2);
    await at.turn();
    return { at, released };
  }

  test('a pool key is not declared any more; that it is not known there means released', async () => {
    const { at, released } = await releasing('pool/a');
    expect(at.transport.frames.at(-1)?.map(({ op }) => op)).toEqual(['release']);
    expect(at.transport.last('release').leaveDepth).toBe(0);
    at.transport.refuse(at.transport.last('release').ref, 'NOT_HELD');
    await at.turn();
    expect(released.value).toEqual({ released: true, depth: 0 });
  });

  test('a lock on record is declared, so that it can be released', async () => {
    const { at, released } = await releasing('migrations');
    expect(at.transport.frames.at(-1)?.map(({ op }) => op)).toEqual(['reclaim', 'release']);
    at.transport.hold(at.transport.last('reclaim'), { epoch: 2 });
    at.transport.released(at.transport.last('release').ref);
    await at.turn();
    expect(released.value).toEqual({ released: true, depth: 0 });
    expect(at.locks.save()).toEqual([]);
  });

  test('the acknowledgement of the earlier owner does not count', async () => {
    const at = bench();
    await take(at, 'pool/a', 5);
    const released = watch(at.locks.release('pool/a', { fencingToken: '5' }, at.context()));
    await at.turn();
    const old = at.transport.last('release');
    at.transport.listener.onEpoch(shard, 2);
    await at.turn();
    at.transport.released(old.ref);
    await at.turn();
    expect(released).toEqual({});
  });
});

test('a forced release is not repeated by itself: the next one would hit somebody else', async () => {
  const at = bench();
  const forced = watch(at.locks.forceRelease('pool/a', { reason: 'stuck' }, at.context()));
  await at.turn();
  expect(at.transport.last('forceRelease')).toMatchObject({ key, reason: 'stuck', by: 'pod-1' });
  at.transport.listener.onEpoch(shard, 2);
  await at.turn();
  expect(forced).toMatchObject({ code: 'OUTCOME_UNKNOWN', details: { lockId: 'pool/a' } });
  expect(at.transport.sent('forceRelease')).toHaveLength(1);
});
