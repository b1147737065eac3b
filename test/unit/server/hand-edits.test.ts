/**
 * Goal: what somebody else does to the Leases of locks under a running owner is noticed without any request, never leads to two
 * valid holds, and is put right by one write at most. Method: real server, real engine, in-memory store with its watch, virtual
 * time.
 */
import { describe, expect, it } from '@jest/globals';
import { shardOf } from '../../../src/api/shard-hash.ts';
import type { StoredLease } from '../../../src/kube/lease.ts';
import { MemoryLeaseStore } from '../../../src/kube/memory-lease-store.ts';
import { decodeLockLease } from '../../../src/server/lease-codec.ts';
import { annotate, type Edit, KEY, LEASE, LOCK, Scene, versionOf, Wrapped } from '../../support/lease-hands.ts';
import { ServerWorld } from '../../support/server-world.ts';

describe('a hand on the Lease of a held lock', () => {
  const edits: [string, Edit][] = [
    ['counter lowered', annotate({ 'lockkeeper.dev/fencing-counter': '7' })],
    ['counter raised', annotate({ 'lockkeeper.dev/fencing-counter': '9000000000000000' })],
    ['holder replaced', annotate({ 'lockkeeper.dev/holders': '[]' })],
    ['checksum broken', annotate({ 'lockkeeper.dev/checksum': '00000000' })],
    ['annotations removed', () => ({ metadata: { annotations: {} } })],
    ['label removed', () => ({ metadata: { labels: {} } })],
    ['label of another lock', () => ({ metadata: { labels: { 'lockkeeper.dev/lock': 'other' } } })],
    ['holder edited on the spec', ({ spec }) => ({ spec: { ...spec, holderIdentity: 'mallory' } })],
    ['duration edited on the spec', ({ spec }) => ({ spec: { ...spec, leaseDurationSeconds: 3600 } })],
    ['transitions edited on the spec', ({ spec }) => ({ spec: { ...spec, leaseTransitions: 7 } })],
  ];

  it.each(edits)('%s: put right by one write, the hold untouched, nobody else granted', async (_what, edit) => {
    const scene = await Scene.open();
    const held = await scene.client.acquire(LOCK, 'alice', { ttlMs: 60_000 });
    await scene.idle();
    const before = await scene.lease();
    const { metadata } = await scene.edit(edit);
    await scene.idle();
    const after = await scene.lease();
    expect(scene.recordEvents).toEqual(['recordEdited']);
    expect(await scene.record()).toMatchObject({ counter: held.token, holders: [{ ownerId: 'alice' }] });
    expect(Number(after.metadata.resourceVersion)).toBe(Number(metadata.resourceVersion) + 1);
    const told = ({ spec }: StoredLease) => ({ ...spec, renewTime: undefined });
    expect(told(after)).toEqual(told(before));
    expect(await scene.tryLock('bob')).toMatchObject({ code: 'LOCK_HELD' });
    expect(await scene.client.ask({ op: 'renew', key: LOCK, token: held.token })).toMatchObject({ kind: 'hold' });
    expect(scene.client.lost).toEqual([]);
  });

  it.each<[string, Edit]>([
    [
      'label of somebody else',
      ({ metadata }) => ({ metadata: { labels: { ...metadata.labels, 'example.com/a': 'b' } } }),
    ],
    ['renewTime', ({ spec }) => ({ spec: { ...spec, renewTime: '2020-01-01T00:00:00.000000Z' } })],
  ])('%s: costs no write and no event, and is kept by the next write', async (_what, edit) => {
    const scene = await Scene.open();
    const held = await scene.client.acquire(LOCK, 'alice');
    const { metadata } = await scene.edit(edit);
    await scene.idle();
    expect((await scene.lease()).metadata.resourceVersion).toBe(metadata.resourceVersion);
    await scene.client.ask({ op: 'release', key: LOCK, token: held.token });
    await scene.idle();
    expect(Number((await scene.lease()).metadata.resourceVersion)).toBe(Number(metadata.resourceVersion) + 1);
    expect((await scene.lease()).metadata.labels).toMatchObject(metadata.labels ?? {});
    expect(scene.recordEvents).toEqual([]);
  });

  it('deleted: written anew with its holder, and the next token is above', async () => {
    const scene = await Scene.open();
    const held = await scene.client.acquire(LOCK, 'alice');
    await scene.delete();
    await scene.idle();
    expect(await scene.record()).toMatchObject({ counter: held.token, holders: [{ ownerId: 'alice' }] });
    expect(scene.recordEvents).toEqual(['recordDeleted']);
    await scene.client.ask({ op: 'release', key: LOCK, token: held.token });
    expect((await scene.client.acquire(LOCK, 'bob')).token).toBeGreaterThan(held.token);
  });

  it('replaced by another object with the same record: gone on with', async () => {
    const scene = await Scene.open();
    const held = await scene.client.acquire(LOCK, 'alice');
    const { metadata, spec } = await scene.lease();
    await scene.delete();
    await scene.world.leases.create({
      metadata: { namespace: 'shop', name: LEASE, labels: metadata.labels, annotations: metadata.annotations },
      spec,
    });
    await scene.idle();
    expect(await scene.record()).toMatchObject({ holders: [{ ownerId: 'alice' }] });
    await scene.client.ask({ op: 'release', key: LOCK, token: held.token });
    await scene.idle();
    expect(await scene.record()).toMatchObject({ holders: [] });
  });

  it('replaced by somebody else\u2019s Lease: never written, the hold lives on, new acquires are refused until it is gone', async () => {
    const scene = await Scene.open();
    const held = await scene.client.acquire(LOCK, 'alice');
    await scene.delete();
    const theirs = await scene.world.leases.create({
      metadata: { namespace: 'shop', name: LEASE },
      spec: { holderIdentity: 'app-leader' },
    });
    await scene.idle(20_000);
    expect((await scene.lease()).metadata.resourceVersion).toBe(theirs.metadata.resourceVersion);
    expect(scene.recordEvents).toContain('recordUnusable');
    expect(await scene.tryLock('bob')).toMatchObject({ code: 'UNAVAILABLE' });
    await scene.delete();
    await scene.idle(20_000);
    expect(scene.recordEvents.at(-1)).toBe('recordAccepted');
    expect((await scene.client.acquire(LOCK, 'bob')).token).toBeGreaterThan(held.token);
  });

  it('again and again: the writes of the owner become rarer, so that two never flood the API server', async () => {
    const scene = await Scene.open();
    await scene.client.acquire(LOCK, 'alice', { ttlMs: 3_600_000 });
    let repairs = 0;
    for (let elapsedMs = 0; elapsedMs < 600_000; elapsedMs += 500) {
      const decoded = decodeLockLease(await scene.lease());
      if (decoded.kind === 'lock') {
        repairs++;
        await scene.edit(annotate({ 'lockkeeper.dev/holders': '[]' }));
      }
      await scene.idle();
    }
    expect(repairs).toBeGreaterThan(5);
    expect(repairs).toBeLessThan(20);
  });
});

describe('a Lease put back to an earlier state', () => {
  it('of an idle lock: the shard is taken anew at once, no token comes twice', async () => {
    const scene = await Scene.open();
    const first = await scene.client.acquire(LOCK, 'alice');
    const old = await scene.lease();
    await scene.client.ask({ op: 'release', key: LOCK, token: first.token });
    const second = await scene.client.acquire(LOCK, 'alice');
    await scene.client.ask({ op: 'release', key: LOCK, token: second.token });
    await scene.idle();
    await scene.putBack(old);
    await scene.idle();
    expect(scene.recordEvents).toContain('recordRestored');
    expect(scene.client.epochs.some(({ shard }) => shard === shardOf(LOCK))).toBe(true);
    expect((await scene.record()).counter).toBeGreaterThanOrEqual(second.token);
    // The older record named a holder: it costs one time to live, never a second grant.
    await scene.idle(20_000);
    expect((await scene.client.acquire(LOCK, 'bob')).token).toBeGreaterThan(second.token);
  });

  it('of a lock that was granted since: the holder keeps it, and is on record again', async () => {
    const scene = await Scene.open();
    const first = await scene.client.acquire(LOCK, 'alice');
    await scene.client.ask({ op: 'release', key: LOCK, token: first.token });
    await scene.idle();
    const free = await scene.lease();
    const held = await scene.client.acquire(LOCK, 'bob', { ttlMs: 30_000 });
    await scene.idle();
    await scene.putBack(free);
    await scene.idle();
    const record = await scene.record();
    expect(record.holders).toMatchObject([{ ownerId: 'bob', token: held.token }]);
    expect(record.counter).toBeGreaterThanOrEqual(held.token);
    expect(await scene.tryLock('carol')).toMatchObject({ code: 'LOCK_HELD' });
    expect(await scene.client.ask({ op: 'renew', key: LOCK, token: held.token })).toMatchObject({ kind: 'hold' });
  });

  it('the whole store, with the owner cut off meanwhile: what was granted after the backup stays held', async () => {
    const scene = await Scene.open();
    const { world } = scene;
    await scene.client.acquire(KEY, 'early');
    await scene.idle();
    const { items } = await world.leases.list({});
    const held = await scene.client.acquire(LOCK, 'alice', { ttlMs: 60_000 });
    const late = world.client(scene.server, 'pod-late');
    const memory = await late.acquire('shop/orders/43', 'late', { ttlMs: 30_000 });
    await scene.idle();
    // Everything that came after the backup goes away or back.
    for (const lease of (await world.leases.list({})).items) {
      const old = items.find(({ metadata }) => metadata.uid === lease.metadata.uid);
      if (old === undefined) await scene.delete(lease.metadata.namespace, lease.metadata.name);
      else if (old.metadata.resourceVersion !== lease.metadata.resourceVersion) await scene.putBack(old);
    }
    await scene.idle(10_000);
    expect(scene.server.notReadyReason()).toBeUndefined();
    expect(await scene.record()).toMatchObject({ counter: held.token, holders: [{ ownerId: 'alice' }] });
    expect(await scene.tryLock('bob')).toMatchObject({ code: 'LOCK_HELD' });
    // The slot of the later session is not in the backup: it may reclaim all the same, and the grace waits for it.
    const claim = { op: 'reclaim', key: 'shop/orders/43', token: memory.token, ownerId: 'late' } as const;
    expect(await late.ask({ ...claim, mode: 'exclusive', depth: 1, ttlMs: 30_000 })).toMatchObject({ kind: 'hold' });
  });

  it('under lower versions, seen by the version of a list: the incarnation ends, and the next one knows what it knew', async () => {
    const world = new ServerWorld();
    const leases = new Wrapped(world.leases);
    const server = await world.start({ store: leases.store });
    const client = world.client(server);
    const held = await client.acquire(LOCK, 'alice', { ttlMs: 60_000 });
    await world.time.runBy(500);
    const { items } = await world.leases.list({});
    // An etcd restored without care: the same names and contents, except the lock's, under versions from before.
    const kept = items.filter(({ metadata }) => metadata.name !== LEASE);
    const initial = { leases: kept, resourceVersion: String(Math.max(...kept.map(versionOf))) };
    leases.target = new MemoryLeaseStore({ clock: world.time, random: world.random, initial });
    leases.endWatches();
    await world.time.runBy(12_000);
    expect(server.notReadyReason()).toBeUndefined();
    expect(client.epochs.some(({ shard }) => shard === shardOf(LOCK))).toBe(true);
    const lease = await leases.target.get('shop', LEASE);
    expect(lease && decodeLockLease(lease)).toMatchObject({ record: { holders: [{ ownerId: 'alice' }] } });
    expect(await client.ask({ op: 'renew', key: LOCK, token: held.token })).toMatchObject({ kind: 'hold' });
  });
});

describe('a late write of an earlier owner', () => {
  it('that was never acknowledged, a force release here: met at once, and whoever relies on the hold is on record again', async () => {
    const world = new ServerWorld();
    const leases = new Wrapped(world.leases);
    const first = world.client(await world.start({ store: leases.store }));
    const { token } = await first.acquire(LOCK, 'alice', { ttlMs: 60_000 });
    // The write leaves the first owner and lands only after the second one has read the locks.
    const late: (() => Promise<unknown>)[] = [];
    leases.holdBack = late;
    first.send({ op: 'forceRelease', key: LOCK, reason: 'stuck', by: 'admin' });
    await world.time.runBy(10);
    const second = await world.start({ podName: 'operator-1', isKnownDead: () => true });
    const client = world.client(second);
    expect(await client.ask({ op: 'renew', key: LOCK, token })).toMatchObject({ kind: 'hold' });
    expect(late).toHaveLength(1);
    await late[0]?.();
    const landed = await world.leases.get('shop', LEASE);
    expect(landed && decodeLockLease(landed)).toMatchObject({ record: { holders: [] } });
    await world.time.runBy(100);
    const lease = await world.leases.get('shop', LEASE);
    expect(lease && decodeLockLease(lease)).toMatchObject({ record: { holders: [{ ownerId: 'alice', token }] } });
    expect(await client.ask({ op: 'renew', key: LOCK, token })).toMatchObject({ kind: 'hold' });
  });
});

describe('a tombstone', () => {
  it('that is collected is not written again, and the name begins anew above the wall clock', async () => {
    const scene = await Scene.open();
    const held = await scene.client.acquire(LOCK, 'alice');
    await scene.client.ask({ op: 'release', key: LOCK, token: held.token });
    scene.server.configureLock(LOCK, undefined);
    await scene.idle(5_000);
    await scene.delete();
    await scene.idle(5_000);
    expect(await scene.world.leases.get('shop', LEASE)).toBeUndefined();
    expect(scene.recordEvents).toEqual([]);
  });
});

describe('a Lease that cannot be trusted from the start', () => {
  it('is told at once, without a request, and the lock is served once a person has removed it', async () => {
    const world = new ServerWorld();
    const events: string[] = [];
    await world.leases.create({
      metadata: { namespace: 'shop', name: LEASE, labels: { 'lockkeeper.dev/lock': 'migrations' } },
      spec: {},
    });
    const server = await world.start({ onAudit: (_, { type }) => events.push(type) });
    await world.time.runBy(1_000);
    expect(events).toContain('recordUnusable');
    const lease = await world.leases.get('shop', LEASE);
    await world.leases.delete('shop', LEASE, lease?.metadata.resourceVersion ?? '');
    await world.time.runBy(20_000);
    expect(await world.client(server).acquire(LOCK, 'alice')).toMatchObject({ kind: 'hold' });
  });
});

describe('an outage of the watch', () => {
  it('costs nothing but time: the change is found by the next list', async () => {
    const world = new ServerWorld();
    const leases = new Wrapped(world.leases);
    leases.watches = 'refused';
    const server = await world.start({ store: leases.store });
    const client = world.client(server);
    const held = await client.acquire(LOCK, 'alice', { ttlMs: 60_000 });
    const lease = await world.leases.get('shop', LEASE);
    await world.leases.delete('shop', LEASE, lease?.metadata.resourceVersion ?? '');
    await world.time.runBy(45_000);
    const again = await world.leases.get('shop', LEASE);
    expect(again && decodeLockLease(again)).toMatchObject({ record: { counter: held.token } });
  });
});

describe('ordinary work', () => {
  it('costs no read: an event of an own write is no surprise, whether it comes before or after the reply', async () => {
    const world = new ServerWorld();
    const leases = new Wrapped(world.leases);
    const client = world.client(await world.start({ store: leases.store }));
    await world.time.runBy(1_000);
    const before = leases.reads;
    for (let turn = 0; turn < 50; turn++) {
      const { token } = await client.acquire(LOCK, 'alice');
      const { token: memory } = await client.acquire(KEY, 'alice');
      await client.ask({ op: 'release', key: LOCK, token });
      await client.ask({ op: 'release', key: KEY, token: memory });
    }
    await world.time.runBy(1_000);
    expect(leases.reads).toBe(before);
  });
});
