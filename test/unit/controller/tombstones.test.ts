/** Goal: the Lease of a lock that is gone keeps the counter for a week, then goes, and no other Lease ever does. */
import { describe, expect, it } from '@jest/globals';
import { TOMBSTONE_ANNOTATION } from '../../../src/controller/annotations.ts';
import { DISTRIBUTED_LOCKS } from '../../../src/kube/kube-object.ts';
import { ControllerWorld } from './controller-world.ts';

const KEY = 'shop/migrations';
const DAY_MS = 86_400_000;

async function lease(world: ControllerWorld, name = 'lock-migrations') {
  return world.embedded.leases.get('shop', name);
}

/** A world whose lock `migrations` was used once and whose object was deleted. */
async function withTombstone(): Promise<{ readonly world: ControllerWorld; readonly token: number }> {
  const world = await ControllerWorld.started();
  await world.createLock('migrations');
  const client = world.client();
  const { token } = await client.acquire(KEY, 'alice');
  await client.ask({ op: 'release', key: KEY, token });
  await world.embedded.delete(DISTRIBUTED_LOCKS, 'shop', 'migrations');
  await world.time.runBy(1_000);
  return { world, token };
}

/** Days pass on the wall clock, as they do for people, without living through every renewal of authority. */
async function daysLater(world: ControllerWorld, days: number): Promise<void> {
  world.time.process.stepWall(days * DAY_MS);
  await world.time.runBy(2_000);
}

describe('a tombstone', () => {
  it('is marked, kept for seven days, and then collected', async () => {
    const { world } = await withTombstone();
    await world.controllers.collectTombstones();
    expect((await lease(world))?.metadata.annotations?.[TOMBSTONE_ANNOTATION]).toMatch(/^2026-06-01T/);
    await daysLater(world, 6.9);
    await world.controllers.collectTombstones();
    expect(await lease(world)).toBeDefined();
    await daysLater(world, 0.2);
    await world.controllers.collectTombstones();
    expect(await lease(world)).toBeUndefined();
  });

  it('once collected does not bring a token back', async () => {
    const { world, token } = await withTombstone();
    await world.controllers.collectTombstones();
    await daysLater(world, 8);
    await world.controllers.collectTombstones();
    await world.stop();
    await world.start();
    await world.createLock('migrations');
    expect((await world.client().acquire(KEY, 'bob')).token).toBeGreaterThan(token);
  });

  it('is kept while its counter is above the wall clock', async () => {
    const { world } = await withTombstone();
    await world.controllers.collectTombstones();
    await world.stop();
    await daysLater(world, -30);
    await world.start();
    const stored = await lease(world);
    const annotations = { ...stored?.metadata.annotations, [TOMBSTONE_ANNOTATION]: '2026-01-01T00:00:00Z' };
    await world.embedded.leases.update({ ...stored, metadata: { ...stored?.metadata, annotations } } as never);
    await world.controllers.collectTombstones();
    expect(await lease(world)).toBeDefined();
  });

  it('ends with the next grant of a lock of its name', async () => {
    const { world, token } = await withTombstone();
    await world.controllers.collectTombstones();
    await world.createLock('migrations');
    const next = await world.client().acquire(KEY, 'bob');
    expect(next.token).toBeGreaterThan(token);
    expect((await lease(world))?.metadata.annotations?.[TOMBSTONE_ANNOTATION]).toBeUndefined();
    expect(await world.events()).toEqual([]);
    await daysLater(world, 30);
    await world.controllers.collectTombstones();
    expect(await lease(world)).toBeDefined();
  });
});

describe('never collected', () => {
  it('a Lease that names a holder, is of an object, has rules without one, is damaged, or is not ours', async () => {
    const world = await ControllerWorld.started();
    for (const name of ['held', 'used']) await world.createLock(name);
    const client = world.client();
    await client.acquire('shop/held', 'alice', { ttlMs: 3_600_000 });
    const used = await client.acquire('shop/used', 'alice');
    await client.ask({ op: 'release', key: 'shop/used', token: used.token });
    world.server.configureLock('shop/on-demand', (await import('../../../src/api/policies.ts')).DEFAULT_LOCK_POLICY);
    const demanded = await client.acquire('shop/on-demand', 'alice');
    await client.ask({ op: 'release', key: 'shop/on-demand', token: demanded.token });
    const old = { [TOMBSTONE_ANNOTATION]: '2026-01-01T00:00:00Z' };
    const foreign = { metadata: { namespace: 'shop', name: 'lock-app', annotations: old }, spec: {} };
    const labels = { 'lockkeeper.dev/lock': 'damaged' };
    const damaged = { metadata: { namespace: 'shop', name: 'lock-damaged', labels, annotations: old }, spec: {} };
    await world.embedded.leases.create(foreign);
    await world.embedded.leases.create(damaged);
    await world.embedded.delete(DISTRIBUTED_LOCKS, 'shop', 'held');
    await world.time.runBy(1_000);
    const before = (await world.embedded.leases.list({ namespace: 'shop' })).items;
    await world.controllers.collectTombstones();
    await world.controllers.collectTombstones();
    expect((await world.embedded.leases.list({ namespace: 'shop' })).items).toEqual(before);
    expect(before.map(({ metadata }) => metadata.name)).toEqual([
      'lock-app',
      'lock-damaged',
      'lock-held',
      'lock-on-demand',
      'lock-used',
    ]);
  });
});
