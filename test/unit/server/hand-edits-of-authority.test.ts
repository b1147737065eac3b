/**
 * Goal: what somebody else does to the Leases that a process's authority stands on (shards, layout, members) never makes two
 * granters, and costs no hold. Method: real server, real engine, in-memory store with its watch, virtual time.
 */
import { describe, expect, it } from '@jest/globals';
import { shardOf } from '../../../src/api/shard-hash.ts';
import { StoreError } from '../../../src/kube/lease-store.ts';
import { decodeShardLease, shardLeaseName } from '../../../src/server/lease-codec.ts';
import { annotate, KEY, LOCK, Scene, SYSTEM, Wrapped } from '../../support/lease-hands.ts';
import { ServerWorld } from '../../support/server-world.ts';

describe('a hand on the Lease of a shard', () => {
  const shard = shardOf(KEY);
  const name = shardLeaseName(shard);

  it.each<[string, (scene: Scene) => Promise<unknown>, string]>([
    [
      'counter lowered',
      (scene) => scene.edit(annotate({ 'lockkeeper.dev/fencing-counter': '7' }), SYSTEM, name),
      'recordEdited',
    ],
    ['sessions removed', (scene) => scene.edit(annotate({ 'lockkeeper.dev/slots': '' }), SYSTEM, name), 'recordEdited'],
    [
      'owner edited',
      (scene) => scene.edit(({ spec }) => ({ spec: { ...spec, holderIdentity: 'me' } }), SYSTEM, name),
      'recordEdited',
    ],
    ['label removed', (scene) => scene.edit(() => ({ metadata: { labels: {} } }), SYSTEM, name), 'recordEdited'],
    ['deleted', (scene) => scene.delete(SYSTEM, name), 'recordDeleted'],
  ])('%s: written again, its holds go on undisturbed', async (_what, hand, event) => {
    const scene = await Scene.open();
    const held = await scene.client.acquire(KEY, 'alice', { ttlMs: 30_000 });
    await scene.idle();
    const before = decodeShardLease(await scene.lease(SYSTEM, name));
    await hand(scene);
    await scene.idle();
    const after = decodeShardLease(await scene.lease(SYSTEM, name));
    if (before.kind !== 'shard' || after.kind !== 'shard') throw new Error('not readable');
    expect(after.incarnation).toBe(before.incarnation);
    expect({ ...after.record, attempt: '' }).toEqual({ ...before.record, attempt: '' });
    expect(scene.recordEvents).toEqual([event]);
    expect(scene.client.epochs).toEqual([]);
    expect(await scene.client.ask({ op: 'renew', key: KEY, token: held.token })).toMatchObject({ kind: 'hold' });
  });

  it.each<[string, (scene: Scene) => Promise<unknown>]>([
    ['edited', (scene) => scene.edit(annotate({ 'lockkeeper.dev/slots': '' }), SYSTEM, name)],
    ['deleted', (scene) => scene.delete(SYSTEM, name)],
  ])('%s, and met by a write before any event: written over, nobody loses anything', async (_what, hand) => {
    const world = new ServerWorld();
    const leases = new Wrapped(world.leases);
    leases.watches = 'silent';
    const scene = await Scene.open({ store: leases.store }, world);
    const held = await scene.client.acquire(KEY, 'alice', { ttlMs: 30_000 });
    await hand(scene);
    // A longer promise has to be recorded first.
    expect(await scene.client.ask({ op: 'renew', key: KEY, token: held.token, ttlMs: 50_000 })).toMatchObject({
      kind: 'hold',
      ttlMs: 50_000,
    });
    const decoded = decodeShardLease(await scene.lease(SYSTEM, name));
    expect(decoded).toMatchObject({ kind: 'shard', record: { graceMs: 50_000, slots: [0] } });
    expect(scene.client.epochs).toEqual([]);
  });

  it('put back to an earlier state: taken anew with the whole grace, and what was held can be reclaimed', async () => {
    const scene = await Scene.open();
    const old = await scene.lease(SYSTEM, name);
    const held = await scene.client.acquire(KEY, 'alice', { ttlMs: 30_000 });
    await scene.idle();
    await scene.putBack(old);
    await scene.idle();
    expect(scene.client.epochs.map((epoch) => epoch.shard)).toEqual([shard]);
    const claim = { op: 'reclaim', key: KEY, token: held.token, ownerId: 'alice', mode: 'exclusive' } as const;
    expect(await scene.client.ask({ ...claim, depth: 1, ttlMs: 30_000 })).toMatchObject({ kind: 'hold' });
    const bob = { op: 'acquire', key: KEY, ownerId: 'bob', mode: 'exclusive' } as const;
    expect(await scene.client.ask({ ...bob, timeoutMs: 0 })).toMatchObject({ code: 'LOCK_HELD' });
    await scene.idle(61_000);
    const next = await scene.client.ask({ ...bob, timeoutMs: 0 });
    expect((next as { token: number }).token).toBeGreaterThan(held.token);
  });

  it('deleted, and its owner has not noticed: another replica waits for every member before it takes the shard', async () => {
    const world = new ServerWorld();
    const leases = new Wrapped(world.leases);
    leases.watches = 'silent';
    const first = await world.start({ store: leases.store });
    await world.client(first).acquire(KEY, 'alice');
    const lease = await world.leases.get(SYSTEM, shardLeaseName(0));
    await world.leases.delete(SYSTEM, shardLeaseName(0), lease?.metadata.resourceVersion ?? '');
    await expect(world.start({ podName: 'operator-1' }, 60_000)).rejects.toThrow('did not start in time');
    expect(await world.leases.get(SYSTEM, shardLeaseName(0))).toBeUndefined();
    expect(first.notReadyReason()).toBeUndefined();
  });
});

describe('a hand on the layout', () => {
  it.each<[string, (scene: Scene) => Promise<unknown>]>([
    ['deleted', (scene) => scene.delete(SYSTEM, 'lockkeeper-shards')],
    ['edited', (scene) => scene.edit(annotate({ 'lockkeeper.dev/shard-count': '64' }), SYSTEM, 'lockkeeper-shards')],
  ])('%s: written again by the running owner', async (_what, hand) => {
    const scene = await Scene.open();
    const before = await scene.lease(SYSTEM, 'lockkeeper-shards');
    await hand(scene);
    await scene.idle();
    const after = await scene.lease(SYSTEM, 'lockkeeper-shards');
    expect(after.metadata.annotations).toEqual(before.metadata.annotations);
    expect(scene.recordEvents).toHaveLength(1);
  });

  it('deleted with every replica stopped: made anew only with the number of shards that the installation has', async () => {
    const world = new ServerWorld();
    const first = await world.start();
    await first[Symbol.asyncDispose]();
    const layout = await world.leases.get(SYSTEM, 'lockkeeper-shards');
    await world.leases.delete(SYSTEM, 'lockkeeper-shards', layout?.metadata.resourceVersion ?? '');
    await expect(world.start({ shardCount: 64 })).rejects.toThrow(/32 shards do not fit the 64/);
    const second = await world.start();
    expect(second.notReadyReason()).toBeUndefined();
  });
});

describe('a hand on the Lease of a member', () => {
  const nameOf = async (scene: Scene) => {
    const { items } = await scene.world.leases.list({ namespace: SYSTEM, labelSelector: 'lockkeeper.dev/member' });
    return items[0]?.metadata.name ?? '';
  };

  it('deleted: its incarnation ends with its next renewal, and the next one serves with every hold', async () => {
    const scene = await Scene.open();
    const held = await scene.client.acquire(LOCK, 'alice', { ttlMs: 60_000 });
    await scene.delete(SYSTEM, await nameOf(scene));
    await scene.idle(12_000);
    expect(scene.server.notReadyReason()).toBeUndefined();
    expect(scene.client.epochs.length).toBeGreaterThan(0);
    expect(await scene.client.ask({ op: 'renew', key: LOCK, token: held.token })).toMatchObject({ kind: 'hold' });
  });

  it('put back to an earlier renewal: its incarnation ends, since other records may have been put back as well', async () => {
    const scene = await Scene.open();
    const name = await nameOf(scene);
    const old = await scene.lease(SYSTEM, name);
    await scene.idle(5_000);
    await scene.putBack(old);
    await scene.idle(12_000);
    expect(await nameOf(scene)).not.toBe(name);
    expect(scene.server.notReadyReason()).toBeUndefined();
  });

  it('edited: written again with the next renewal, the incarnation goes on', async () => {
    const scene = await Scene.open();
    const name = await nameOf(scene);
    await scene.edit(({ spec }) => ({ spec: { ...spec, leaseDurationSeconds: 1 } }), SYSTEM, name);
    await scene.idle(5_000);
    expect((await scene.lease(SYSTEM, name)).spec.leaseDurationSeconds).toBe(6);
    expect(scene.client.epochs).toEqual([]);
  });

  it('leaves nothing behind: Leases of members that are gone are deleted by whoever takes their shards', async () => {
    const world = new ServerWorld();
    for (let life = 0; life < 3; life++) await (await world.start())[Symbol.asyncDispose]();
    await world.start();
    const { items } = await world.leases.list({ namespace: SYSTEM, labelSelector: 'lockkeeper.dev/member' });
    expect(items).toHaveLength(1);
  });

  it('that fails with an error that is no refusal of the store is tried again after a pause', async () => {
    const world = new ServerWorld();
    const leases = new Wrapped(world.leases);
    await world.start({ store: leases.store });
    let renewals = 0;
    leases.failUpdates = () => {
      renewals++;
      return new TypeError('no store error');
    };
    await world.time.runBy(3_000);
    expect(renewals).toBeGreaterThan(1);
    expect(renewals).toBeLessThan(16);
  });

  it('deleted, and its process is cut off: another replica waits a whole life of it before it takes the shards', async () => {
    const world = new ServerWorld();
    const leases = new Wrapped(world.leases);
    const first = await world.start({ store: leases.store });
    const held = await world.client(first).acquire(KEY, 'alice', { ttlMs: 60_000 });
    leases.failUpdates = () => new StoreError('unknown', 'no answer');
    const { items } = await world.leases.list({ namespace: SYSTEM, labelSelector: 'lockkeeper.dev/member' });
    for (const { metadata } of items)
      await world.leases.delete(metadata.namespace, metadata.name, metadata.resourceVersion);
    const deletedAtMs = world.time.monotonicMs();
    const second = await world.start({ podName: 'operator-1' }, 60_000);
    expect(world.time.monotonicMs() - deletedAtMs).toBeGreaterThanOrEqual(6_000);
    expect(first.notReadyReason()).toBeDefined();
    expect(held.token).toBeGreaterThan(0);
    expect(second.notReadyReason()).toBeUndefined();
  });
});
