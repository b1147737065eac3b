/**
 * Goal: a restarted process holds what its predecessor held, and nothing that no owner has answered to.
 * Method: save from one session, restore into another on a scripted transport.
 */
import { describe, expect, test } from '@jest/globals';
import type { SavedHold } from '../../../../src/sidecar/session/saved-holds.ts';
import { savedHoldSchema } from '../../../../src/sidecar/session/saved-holds.ts';
import { shardOf } from '../../../../src/api/shard-hash.ts';
import { type Bench, bench, watch } from './setup.ts';

const saved: SavedHold = {
  ...{ key: 'team/pool/a', token: 5, ownerId: 'me', mode: 'exclusive', depth: 2, ttlMs: 10_000 },
  metadata: { job: 'x' },
};

async function heldForMs(at: Bench): Promise<number | undefined> {
  const held = watch(at.locks.held('pool/a', '5', undefined, at.context()));
  await at.turn();
  return held.value?.validForMs;
}

describe('save', () => {
  test('lists what was answered to callers, as plain JSON without deadlines', async () => {
    const at = bench();
    const request = { ownerId: 'me', ttlMs: 10_000, metadata: { job: 'x' } };
    void watch(at.locks.acquire('pool/a', request, at.context()));
    void watch(at.locks.acquire('pool/b', { ...request, autoRenew: true, maxHoldMs: 60_000 }, at.context()));
    void watch(at.locks.acquire('pool/queued', { timeoutMs: -1 }, at.context()));
    await at.turn();
    const [first, second] = at.transport.sent('acquire');
    at.transport.hold(first as never, { token: 5 });
    at.transport.hold(second as never, { token: 6 });
    await at.time.runBy(1_000);
    const list = at.locks.save();
    expect(JSON.parse(JSON.stringify(list))).toEqual(list);
    expect(list).toEqual([
      { ...saved, depth: 1 },
      { ...saved, depth: 1, key: 'team/pool/b', token: 6, renewForMs: 59_000 },
    ]);
    for (const hold of list) expect(savedHoldSchema.parse(hold)).toEqual(hold);
  });

  test('leaves out what ran out', async () => {
    const at = bench();
    void watch(at.locks.acquire('pool/a', { ttlMs: 10_000 }, at.context()));
    await at.turn();
    at.transport.hold(at.transport.last('acquire'));
    await at.time.runBy(9_750);
    expect(at.locks.save()).toEqual([]);
  });
});

describe('restore', () => {
  test('declares each hold; only what is answered is held', async () => {
    const at = bench({ awaitsSaved: true });
    const shards = ['team/pool/a', 'team/pool/b'].map((key) => shardOf(key));
    for (const shard of shards) at.transport.listener.onEpoch(shard, 1);
    const restored = watch(at.locks.restore([saved, { ...saved, key: 'team/pool/b', token: 6 }]));
    await at.turn();
    expect(at.transport.frames.at(-1)).toMatchObject([
      { op: 'reclaim', key: 'team/pool/a', token: 5, ownerId: 'me', mode: 'exclusive', depth: 2, ttlMs: 10_000 },
      { op: 'reclaim', key: 'team/pool/b', token: 6 },
    ]);
    expect(at.transport.last('reclaim').metadata).toEqual({ job: 'x' });
    expect(await heldForMs(at)).toBeUndefined();
    const [first, second] = at.transport.sent('reclaim');
    at.transport.hold(first as never);
    expect(await heldForMs(at)).toBe(9_750);
    expect(at.transport.completed).toEqual([[shards[0], 1]]);
    at.transport.refuse(second?.ref ?? 0, 'NOT_HELD');
    await at.turn();
    expect(restored.value).toEqual({ restored: 1, refused: 1 });
    expect(at.transport.completed).toEqual(shards.map((shard) => [shard, 1]));
    expect(at.locks.save()).toEqual([saved]);
  });

  test('until it is called no owner hears that everything is declared', async () => {
    const at = bench({ awaitsSaved: true });
    at.transport.listener.onEpoch(3, 7);
    await at.turn();
    expect(at.transport.completions).toEqual([]);
    expect(at.locks.notReadyReason()).toBe('restoring');
    const restored = watch(at.locks.restore([]));
    await at.turn();
    expect(restored.value).toEqual({ restored: 0, refused: 0 });
    expect(at.transport.completions).toHaveLength(1);
    expect(at.locks.notReadyReason()).toBeUndefined();
  });

  test('the depth goes on from where it was', async () => {
    const at = bench({ awaitsSaved: true });
    void at.locks.restore([saved]);
    await at.turn();
    at.transport.hold(at.transport.last('reclaim'));
    for (const left of [1, 0]) {
      void watch(at.locks.release('pool/a', { fencingToken: '5' }, at.context()));
      await at.turn();
      expect(at.transport.last('release').leaveDepth).toBe(left);
    }
  });

  test('a hold that was renewed for its owner is so again, for what was left of it', async () => {
    const at = bench({ awaitsSaved: true });
    at.transport.onFrame = (operations, seen) => {
      for (const operation of operations) at.transport.hold(operation, { seen, ttlMs: 10_000 });
    };
    void at.locks.restore([{ ...saved, renewForMs: 30_000 }]);
    await at.time.runTo(29_000);
    expect(await heldForMs(at)).toBeGreaterThan(0);
    await at.time.runTo(45_000);
    expect(await heldForMs(at)).toBeUndefined();
  });

  test('is repeated while the owner cannot answer, but not longer than the hold can live', async () => {
    const at = bench({ awaitsSaved: true });
    at.transport.listener.onEpoch(shardOf(saved.key), 1);
    const restored = watch(at.locks.restore([saved]));
    at.transport.onFrame = (operations) => {
      for (const { op, ref } of operations) if (op === 'reclaim') at.transport.refuse(ref, 'UNAVAILABLE');
    };
    await at.time.runBy(5_000);
    expect(at.transport.sent('reclaim').length).toBeGreaterThan(10);
    expect(restored).toEqual({});
    await at.time.runBy(10_000);
    expect(restored.value).toEqual({ restored: 0, refused: 1 });
    expect(at.transport.completions).toHaveLength(1);
  });

  test('an owner that changes meanwhile is asked anew', async () => {
    const at = bench({ awaitsSaved: true });
    void at.locks.restore([saved]);
    await at.turn();
    at.transport.listener.onEpoch(shardOf(saved.key), 2);
    await at.turn();
    expect(at.transport.sent('reclaim')).toHaveLength(2);
    at.transport.hold(at.transport.last('reclaim'), { epoch: 2 });
    expect(await heldForMs(at)).toBe(9_750);
    expect(at.transport.completions).toHaveLength(1);
  });

  test('a renewal sent right after it comes after it', async () => {
    const at = bench({ awaitsSaved: true });
    void at.locks.restore([saved]);
    void watch(at.locks.renew('pool/a', { fencingToken: '5' }, at.context()));
    await at.turn();
    expect(at.transport.frames.at(-1)?.map(({ op }) => op)).toEqual(['reclaim', 'renew']);
  });
});
