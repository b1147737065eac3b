/**
 * Goal: a server on a Lease store keeps its promises over its whole life: what it acknowledges is on record, what it lost the
 * authority for it does not acknowledge, and a successor honours what is recorded. Method: real server, real engine, in-memory
 * store, virtual time.
 */
import { describe, expect, it } from '@jest/globals';
import { decodeLockLease } from '../../../src/server/lease-codec.ts';
import { shardOf } from '../../../src/api/shard-hash.ts';
import { ServerWorld, WALL_MS } from '../../support/server-world.ts';

const LOCK = 'shop/migrations';
const KEY = 'shop/orders/42';

async function recordOf(world: ServerWorld) {
  const lease = await world.leases.get('shop', 'lock-migrations');
  const decoded = lease === undefined ? undefined : decodeLockLease(lease);
  return decoded?.kind === 'lock' ? decoded.record : undefined;
}

describe('a durable grant', () => {
  it('stands on the lock\u2019s Lease when it is acknowledged, with the token as the counter', async () => {
    const world = new ServerWorld();
    const client = world.client(await world.start());
    const hold = await client.acquire(LOCK, 'alice');
    const record = await recordOf(world);
    expect(record?.counter).toBe(hold.token);
    expect(record?.holders).toEqual([
      { principal: 'pod-a', ownerId: 'alice', mode: 'exclusive', token: hold.token, ttlMs: 15_000 },
    ]);
  });

  it('begins its tokens at the wall clock in milliseconds', async () => {
    const world = new ServerWorld();
    const { token } = await world.client(await world.start()).acquire(LOCK, 'alice');
    expect(token).toBeGreaterThanOrEqual(WALL_MS);
    expect(token).toBeLessThan(WALL_MS + 60_000);
  });

  it('costs one write, its renewals none', async () => {
    const world = new ServerWorld();
    const client = world.client(await world.start());
    const { token } = await client.acquire(LOCK, 'alice');
    const version = (await world.leases.get('shop', 'lock-migrations'))?.metadata.resourceVersion;
    for (let renewals = 0; renewals < 5; renewals++) await client.ask({ op: 'renew', key: LOCK, token });
    expect((await world.leases.get('shop', 'lock-migrations'))?.metadata.resourceVersion).toBe(version);
  });
});

describe('a successor', () => {
  it('gives a recorded holder its full time and then grants a higher token', async () => {
    const world = new ServerWorld();
    const first = await world.start();
    const { token } = await world.client(first).acquire(LOCK, 'alice', { ttlMs: 20_000 });
    const second = await world.start({ isKnownDead: () => true });
    const client = world.client(second, 'pod-b');
    expect(
      await client.ask({ op: 'acquire', key: LOCK, ownerId: 'bob', mode: 'exclusive', timeoutMs: 0 }),
    ).toMatchObject({ code: 'LOCK_HELD' });
    const ref = client.send({ op: 'acquire', key: LOCK, ownerId: 'bob', mode: 'exclusive', timeoutMs: 60_000 });
    await world.time.runBy(18_000);
    expect(client.replies.has(ref)).toBe(false);
    await world.time.runBy(3_000);
    const granted = client.replies.get(ref);
    expect(granted).toMatchObject({ kind: 'hold', ownerId: 'bob' });
    expect((granted as { token: number }).token).toBeGreaterThan(token);
  });

  it('lets the holder renew, but not release before it was reclaimed', async () => {
    const world = new ServerWorld();
    const { token } = await world.client(await world.start()).acquire(LOCK, 'alice');
    const client = world.client(await world.start({ isKnownDead: () => true }));
    expect(await client.ask({ op: 'renew', key: LOCK, token })).toMatchObject({ kind: 'hold', token });
    expect(await client.ask({ op: 'release', key: LOCK, token })).toMatchObject({
      code: 'UNAVAILABLE',
      details: { reason: 'unclaimed' },
    });
    expect(
      await client.ask({
        op: 'reclaim',
        key: LOCK,
        token,
        ownerId: 'alice',
        mode: 'exclusive',
        depth: 2,
        ttlMs: 15_000,
      }),
    ).toMatchObject({ depth: 2 });
    expect(await client.ask({ op: 'release', key: LOCK, token })).toMatchObject({ kind: 'released', depth: 1 });
  });

  it('serves pool keys only after the recorded grace, with tokens above every one given before', async () => {
    const world = new ServerWorld();
    const { token } = await world.client(await world.start()).acquire(KEY, 'alice', { ttlMs: 15_000 });
    const client = world.client(await world.start({ isKnownDead: () => true }), 'pod-b');
    expect(
      await client.ask({ op: 'acquire', key: KEY, ownerId: 'bob', mode: 'exclusive', timeoutMs: 0 }),
    ).toMatchObject({
      code: 'UNAVAILABLE',
      details: { reason: 'grace' },
    });
    const ref = client.send({ op: 'acquire', key: KEY, ownerId: 'bob', mode: 'exclusive', timeoutMs: -1 });
    await world.time.runBy(14_000);
    expect(client.replies.has(ref)).toBe(false);
    await world.time.runBy(2_000);
    expect((client.replies.get(ref) as { token: number }).token).toBeGreaterThan(token);
  });

  it('ends the grace at once when every recorded session has reclaimed', async () => {
    const world = new ServerWorld();
    const { token } = await world.client(await world.start()).acquire(KEY, 'alice');
    const next = await world.start({ isKnownDead: () => true });
    const client = world.client(next, undefined, 0);
    await client.ask({ op: 'inspect', key: KEY });
    expect(
      await client.ask({
        op: 'reclaim',
        key: KEY,
        token,
        ownerId: 'alice',
        mode: 'exclusive',
        depth: 1,
        ttlMs: 15_000,
      }),
    ).toMatchObject({ kind: 'hold', token });
    client.completesReclaim();
    expect(
      await client.ask({ op: 'acquire', key: KEY, ownerId: 'bob', mode: 'exclusive', timeoutMs: 0 }),
    ).toMatchObject({ code: 'LOCK_HELD' });
    expect(
      await client.ask({ op: 'acquire', key: 'shop/orders/43', ownerId: 'bob', mode: 'exclusive', timeoutMs: 0 }),
    ).toMatchObject({ kind: 'hold' });
  });

  it('gives a session that declares nothing a slot that no earlier session has on record', async () => {
    const world = new ServerWorld();
    const { token } = await world.client(await world.start()).acquire(KEY, 'alice');
    const next = await world.start({ isKnownDead: () => true });
    const stranger = world.client(next, 'pod-b');
    for (let shard = 0; shard < next.shardCount; shard++) {
      const engine = next.engines().find((each) => each.shard === shard);
      stranger.transport.reclaimComplete(shard, engine?.epoch ?? 0);
    }
    expect(
      await stranger.ask({ op: 'acquire', key: KEY, ownerId: 'bob', mode: 'exclusive', timeoutMs: 0 }),
    ).toMatchObject({ code: 'UNAVAILABLE', details: { reason: 'grace' } });
    const client = world.client(next, 'pod-a', 0);
    expect(
      await client.ask({
        ...({ op: 'reclaim', key: KEY, token, ownerId: 'alice', mode: 'exclusive', depth: 1 } as const),
        ttlMs: 15_000,
      }),
    ).toMatchObject({ kind: 'hold', token });
  });

  it('waits until a member it does not know to be dead has been silent for its whole lease', async () => {
    const world = new ServerWorld();
    const first = await world.start();
    const started = world.time.monotonicMs();
    let serving = false;
    const second = world.start({ podName: 'operator-1' }, 60_000).then((server) => {
      serving = true;
      return server;
    });
    await second.catch(() => undefined);
    // The first one is alive and renews: nobody may take its shards, however long it is watched.
    expect(serving).toBe(false);
    expect(first.notReadyReason()).toBeUndefined();
    expect(world.time.monotonicMs() - started).toBeGreaterThan(59_000);
  });
});

describe('authority', () => {
  it('is gone after a pause longer than the member lease: nothing more is acknowledged, a new incarnation serves', async () => {
    const world = new ServerWorld();
    const server = await world.start();
    const client = world.client(server);
    const before = await client.acquire(LOCK, 'alice', { ttlMs: 60_000 });
    world.time.process.suspend(10_000);
    world.time.advanceBy(10_000);
    const reply = await client.ask({ op: 'renew', key: LOCK, token: before.token }, 0);
    expect(reply?.kind).not.toBe('hold');
    await world.time.runBy(20_000);
    expect(client.epochs.some(({ shard, epoch }) => shard === shardOf(LOCK) && epoch > before.epoch)).toBe(true);
    expect(server.notReadyReason()).toBeUndefined();
    expect(await client.ask({ op: 'renew', key: LOCK, token: before.token })).toMatchObject({ kind: 'hold' });
  });

  it('is confirmed by a write before anything is acknowledged after the wall clock jumped', async () => {
    const world = new ServerWorld();
    const client = world.client(await world.start());
    const held = await client.acquire(KEY, 'alice');
    world.time.process.stepWall(2_500);
    const ref = client.send({ op: 'renew', key: KEY, token: held.token });
    expect(client.replies.has(ref)).toBe(false);
    await world.time.runBy(20);
    expect(client.replies.get(ref)).toMatchObject({ kind: 'hold' });
  });
});

describe('a Lease that goes backwards', () => {
  it('makes the owner take the shard over anew, with tokens above all it remembers', async () => {
    const world = new ServerWorld();
    const client = world.client(await world.start());
    const first = await client.acquire(LOCK, 'alice');
    await client.ask({ op: 'release', key: LOCK, token: first.token });
    const old = await world.leases.get('shop', 'lock-migrations');
    const second = await client.acquire(LOCK, 'alice');
    await client.ask({ op: 'release', key: LOCK, token: second.token });
    const now = await world.leases.get('shop', 'lock-migrations');
    if (old === undefined || now === undefined) throw new Error('no lease');
    await world.leases.update({ ...old, metadata: { ...old.metadata, resourceVersion: now.metadata.resourceVersion } });
    const ref = client.send({ op: 'acquire', key: LOCK, ownerId: 'bob', mode: 'exclusive', timeoutMs: 10_000 });
    await world.time.runBy(5_000);
    expect(client.replies.get(ref)?.kind).not.toBe('hold');
    expect(client.epochs.some(({ shard }) => shard === shardOf(LOCK))).toBe(true);
    const third = await client.acquire(LOCK, 'bob');
    expect(third.token).toBeGreaterThan(second.token + 1);
  });
});

describe('a Lease that somebody changed by hand', () => {
  it.each([
    ['counter lowered', { 'lockkeeper.dev/fencing-counter': '7' }],
    ['holders emptied', { 'lockkeeper.dev/holders': '[]' }],
  ])('%s: the owner writes the truth again, no second grant', async (_what, edit) => {
    const world = new ServerWorld();
    const client = world.client(await world.start());
    const held = await client.acquire(LOCK, 'alice');
    const lease = await world.leases.get('shop', 'lock-migrations');
    if (lease === undefined) throw new Error('no lease');
    await world.leases.update({
      ...lease,
      metadata: { ...lease.metadata, annotations: { ...lease.metadata.annotations, ...edit } },
    });
    const bob = client.send({ op: 'acquire', key: LOCK, ownerId: 'bob', mode: 'exclusive', timeoutMs: 10_000 });
    await client.ask({ op: 'renew', key: LOCK, token: held.token, ttlMs: 20_000 });
    expect((await recordOf(world))?.holders).toMatchObject([{ ownerId: 'alice', token: held.token }]);
    expect(client.replies.has(bob)).toBe(false);
    await client.ask({ op: 'release', key: LOCK, token: held.token });
    expect((client.replies.get(bob) as { token: number }).token).toBeGreaterThan(held.token);
  });

  it('deleted: made anew above every token seen', async () => {
    const world = new ServerWorld();
    const client = world.client(await world.start());
    const held = await client.acquire(LOCK, 'alice');
    const lease = await world.leases.get('shop', 'lock-migrations');
    await world.leases.delete('shop', 'lock-migrations', lease?.metadata.resourceVersion ?? '');
    await client.ask({ op: 'release', key: LOCK, token: held.token });
    const next = await client.acquire(LOCK, 'bob');
    expect(next.token).toBeGreaterThan(held.token);
    expect((await recordOf(world))?.holders).toMatchObject([{ ownerId: 'bob' }]);
  });
});

describe('refusals at the start', () => {
  it('names the recorded layout when the shard count differs', async () => {
    const world = new ServerWorld();
    const first = await world.start();
    await first[Symbol.asyncDispose]();
    await expect(world.start({ shardCount: 64 })).rejects.toThrow(/32/);
  });

  it('does not serve with an implausible clock', async () => {
    const world = new ServerWorld();
    world.time.process.stepWall(-WALL_MS);
    await expect(world.start()).rejects.toThrow(/clock/);
  });
});

describe('a force release', () => {
  it('ends the hold after it is on record, tells the loser, and bumps the counter', async () => {
    const world = new ServerWorld();
    const client = world.client(await world.start());
    const held = await client.acquire(LOCK, 'alice');
    expect(await client.ask({ op: 'forceRelease', key: LOCK, reason: 'stuck', by: 'admin' })).toMatchObject({
      kind: 'done',
      ended: 1,
    });
    expect(client.lost).toMatchObject([{ token: held.token, reason: 'forceReleased' }]);
    const record = await recordOf(world);
    expect(record?.holders).toEqual([]);
    expect(record?.counter).toBeGreaterThan(held.token);
    expect(await client.ask({ op: 'renew', key: LOCK, token: held.token })).toMatchObject({ code: 'NOT_HELD' });
  });

  it('of a pool key survives the owner: its holder cannot reclaim', async () => {
    const world = new ServerWorld();
    const first = world.client(await world.start());
    const held = await first.acquire(KEY, 'alice');
    expect(await first.ask({ op: 'forceRelease', key: KEY, reason: 'stuck', by: 'admin' })).toMatchObject({
      kind: 'done',
      ended: 1,
    });
    const client = world.client(await world.start({ isKnownDead: () => true }));
    const reply = await client.ask({
      op: 'reclaim',
      key: KEY,
      token: held.token,
      ownerId: 'alice',
      mode: 'exclusive',
      depth: 1,
      ttlMs: 15_000,
    });
    expect(reply).toMatchObject({ code: 'NOT_HELD' });
  });
});
