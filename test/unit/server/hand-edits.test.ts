/**
 * Goal: what somebody else does to the Leases under a running owner is noticed without any request, never leads to two valid
 * holds, and is put right by one write at most. Method: real server, real engine, in-memory store with its watch, virtual time.
 */
import { describe, expect, it } from '@jest/globals';
import { shardOf } from '../../../src/api/shard-hash.ts';
import type { AuditEvent } from '../../../src/engine/effects.ts';
import type { StoredLease } from '../../../src/kube/lease.ts';
import { type LeaseEvent, type LeaseStore, StoreError } from '../../../src/kube/lease-store.ts';
import { MemoryLeaseStore } from '../../../src/kube/memory-lease-store.ts';
import { decodeLockLease, decodeShardLease, shardLeaseName } from '../../../src/server/lease-codec.ts';
import type { LockServer } from '../../../src/server/lock-server.ts';
import { disposable } from '../../../src/system/disposables.ts';
import { ServerWorld, type TestClient } from '../../support/server-world.ts';

const LOCK = 'shop/migrations';
const LEASE = 'lock-migrations';
const KEY = 'shop/orders/42';
const SYSTEM = 'lockkeeper-system';

type Edit = (lease: StoredLease) => Partial<Pick<StoredLease, 'spec'>> & { metadata?: object };

const annotate =
  (changes: Record<string, string>): Edit =>
  ({ metadata }) => ({ metadata: { annotations: { ...metadata.annotations, ...changes } } });

const versionOf = ({ metadata }: StoredLease) => Number(metadata.resourceVersion);

/** A store as a server sees it, with faults. */
class Wrapped {
  target: MemoryLeaseStore;
  watches: 'working' | 'silent' | 'refused' = 'working';
  failUpdates: (() => Error) | undefined;
  readonly #handlers = new Set<(event: LeaseEvent) => void>();
  readonly store: LeaseStore;

  constructor(target: MemoryLeaseStore) {
    this.target = target;
    this.store = {
      get: (...call) => this.target.get(...call),
      list: (...call) => this.target.list(...call),
      create: (...call) => this.target.create(...call),
      update: (...call) =>
        this.failUpdates === undefined ? this.target.update(...call) : Promise.reject(this.failUpdates()),
      delete: (...call) => this.target.delete(...call),
      watch: (query, handler, options) => {
        if (this.watches === 'refused') throw new StoreError('rejected', 'no watch', { retryable: true });
        if (this.watches === 'silent') return disposable(() => {});
        this.#handlers.add(handler);
        return this.target.watch(query, handler, options);
      },
    };
  }

  endWatches(): void {
    for (const handler of this.#handlers) handler({ type: 'ERROR', code: 'expired', message: 'too old' });
    this.#handlers.clear();
  }
}

/** A world with one server, what it audits, and hands on its Leases. */
class Scene {
  readonly world = new ServerWorld();
  readonly events: AuditEvent[] = [];
  server!: LockServer;
  client!: TestClient;

  static async open(): Promise<Scene> {
    const scene = new Scene();
    scene.server = await scene.world.start({ onAudit: (_, event) => scene.events.push(event) });
    scene.client = scene.world.client(scene.server);
    await scene.world.time.runBy(1_000);
    return scene;
  }

  get recordEvents(): string[] {
    return this.events.flatMap(({ type }) => (type.startsWith('record') ? type : []));
  }

  async lease(namespace = 'shop', name = LEASE): Promise<StoredLease> {
    const lease = await this.world.leases.get(namespace, name);
    if (lease === undefined) throw new Error(`no Lease ${namespace}/${name}`);
    return lease;
  }

  async record() {
    const decoded = decodeLockLease(await this.lease());
    if (decoded.kind !== 'lock') throw new Error(JSON.stringify(decoded));
    return decoded.record;
  }

  async edit(edit: Edit, namespace = 'shop', name = LEASE): Promise<StoredLease> {
    const lease = await this.lease(namespace, name);
    const { metadata = {}, spec = lease.spec } = edit(lease);
    return this.world.leases.update({ metadata: { ...lease.metadata, ...metadata }, spec });
  }

  async delete(namespace = 'shop', name = LEASE): Promise<void> {
    const { metadata } = await this.lease(namespace, name);
    await this.world.leases.delete(namespace, name, metadata.resourceVersion);
  }

  /** Puts an earlier state of a Lease back, as `kubectl replace` of a saved file does. */
  async putBack({ metadata, spec }: StoredLease): Promise<void> {
    const now = await this.lease(metadata.namespace, metadata.name);
    const { resourceVersion, uid } = now.metadata;
    await this.world.leases.update({ metadata: { ...metadata, resourceVersion, uid }, spec });
  }

  /** Nobody asks anything: only the watch can notice. */
  idle(forMs = 500): Promise<void> {
    return this.world.time.runBy(forMs);
  }

  tryLock(ownerId: string) {
    return this.client.ask({ op: 'acquire', key: LOCK, ownerId, mode: 'exclusive', timeoutMs: 0 });
  }
}

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
