/** Goal: what people are told, and what a LockPool says. Method: the real server and controllers on the embedded API. */
import { describe, expect, it } from '@jest/globals';
import { customResourceDefinitions } from '../../../src/api/custom-resources/definitions.ts';
import { shardOf } from '../../../src/api/shard-hash.ts';
import { DISTRIBUTED_LOCKS, EVENTS, LOCK_POOLS } from '../../../src/kube/kube-object.ts';
import { ControllerWorld } from './controller-world.ts';

const KEY = 'shop/migrations';

describe('Events', () => {
  it('are not written for grants and releases', async () => {
    const world = await ControllerWorld.started();
    await world.createLock('migrations');
    const client = world.client();
    for (let times = 0; times < 5; times++) {
      const { token } = await client.acquire(KEY, 'alice');
      await client.ask({ op: 'release', key: KEY, token });
    }
    await world.time.runBy(5_000);
    expect(await world.events()).toEqual([]);
  });

  it('tell of an expiry, many of them in one Event with a count', async () => {
    const world = await ControllerWorld.started();
    await world.createLock('migrations');
    const client = world.client();
    for (let times = 0; times < 20; times++) {
      await client.acquire(KEY, 'alice', { ttlMs: 1_000 });
      await world.time.runBy(2_000);
    }
    await world.time.runBy(60_000);
    expect(await world.events()).toEqual([
      expect.stringMatching(/^Warning Expired x20: pod-a\/alice stopped renewing/),
    ]);
    expect(world.store.seen('patch', EVENTS).length).toBeLessThanOrEqual(2);
  });

  it('tell of a hold that stays past its time to live', async () => {
    const world = await ControllerWorld.started();
    await world.createLock('migrations', { expiryPolicy: 'Alert' });
    await world.client().acquire(KEY, 'alice', { ttlMs: 1_000 });
    await world.time.runBy(3_000);
    expect(await world.events()).toEqual([expect.stringContaining('Warning Overdue x1: pod-a/alice is past its time')]);
    expect(await world.conditions('migrations')).toContain('Held=True/Overdue');
  });

  it('tell of a Lease that was deleted by hand', async () => {
    const world = await ControllerWorld.started();
    await world.createLock('migrations');
    const client = world.client();
    const { token } = await client.acquire(KEY, 'alice');
    const lease = await world.embedded.leases.get('shop', 'lock-migrations');
    await world.embedded.leases.delete('shop', 'lock-migrations', lease?.metadata.resourceVersion ?? '');
    await client.ask({ op: 'release', key: KEY, token });
    await world.time.runBy(1_000);
    expect(await world.events()).toEqual([expect.stringContaining('Warning LeaseUnusable x1: Somebody deleted')]);
  });

  it('tell of a store that refuses the Lease; the lock is not ready until it writes again', async () => {
    const world = await ControllerWorld.started();
    await world.createLock('migrations');
    const { create } = world.embedded.leases;
    world.embedded.leases.create = () => Promise.reject(new Error('exceeded quota'));
    const client = world.client();
    await client.ask({ op: 'acquire', key: KEY, ownerId: 'alice', mode: 'exclusive', timeoutMs: 0 });
    await world.time.runBy(1_100);
    expect(await world.conditions('migrations')).toContain('Ready=False/StoreRefused');
    world.embedded.leases.create = create;
    await world.time.runBy(30_000);
    expect(await world.conditions('migrations')).toContain('Ready=True/Serving');
    expect(await world.events()).toEqual([expect.stringContaining('Warning StoreRefused')]);
  });

  it('name a deadlock on every lock in it; the condition ends with the circle', async () => {
    const world = await ControllerWorld.started();
    const [first, second] = twoLocksOfOneShard();
    await world.createLock(first);
    await world.createLock(second);
    const client = world.client();
    const wait = { op: 'acquire', mode: 'exclusive', timeoutMs: -1 } as const;
    await client.acquire(`shop/${first}`, 'alice', { ttlMs: 600_000 });
    const { token } = await client.acquire(`shop/${second}`, 'bob', { ttlMs: 600_000 });
    client.send({ ...wait, key: `shop/${second}`, ownerId: 'alice' });
    client.send({ ...wait, key: `shop/${first}`, ownerId: 'bob' });
    await world.time.runBy(3_000);
    const found = (await world.events()).filter((each) => each.startsWith('Warning DeadlockFound x1'));
    expect(found).toHaveLength(2);
    expect(found[0]).toContain(`pod-a/alice waits for ${second}, held by bob`);
    expect(await world.conditions(first)).toContain('Deadlocked=True/CycleFound');
    expect(await world.conditions(second)).toContain('Deadlocked=True/CycleFound');
    await client.ask({ op: 'release', key: `shop/${second}`, token });
    await world.time.runBy(3_000);
    expect(await world.conditions(first)).toContain('Deadlocked=False/NoCycle');
    expect(await world.conditions(second)).toContain('Deadlocked=False/NoCycle');
  });

  /** A circle within one shard is found when the last owner queues. */
  function twoLocksOfOneShard(): [string, string] {
    const names = Array.from({ length: 100 }, (_, index) => `lock-${index}`);
    const [first = ''] = names;
    const second = names.find((name) => name !== first && shardOf(`shop/${name}`) === shardOf(`shop/${first}`)) ?? '';
    return [first, second];
  }
});

describe('a spec that breaks a rule of today', () => {
  /** The definitions of a release that did not bound the lease duration. */
  function olderDefinitions(): unknown[] {
    return JSON.parse(
      JSON.stringify(customResourceDefinitions(), (name, value: Record<string, unknown>) =>
        name === 'leaseDurationSeconds'
          ? { type: 'integer', default: 15 }
          : name === 'x-kubernetes-validations'
            ? []
            : value,
      ),
    ) as unknown[];
  }

  it('leaves the last good rules in force', async () => {
    const world = await ControllerWorld.started(olderDefinitions());
    await world.createLock('migrations', { leaseDurationSeconds: 20 });
    await world.embedded.patch(DISTRIBUTED_LOCKS, 'shop', 'migrations', { spec: { leaseDurationSeconds: -1 } });
    await world.time.runBy(1_100);
    expect(await world.conditions('migrations')).toContain('Ready=False/InvalidSpec');
    expect(await world.status('migrations')).toMatchObject({ observedGeneration: 1 });
    expect((await world.client().acquire(KEY, 'alice')).ttlMs).toBe(20_000);
    await world.embedded.patch(DISTRIBUTED_LOCKS, 'shop', 'migrations', { spec: { leaseDurationSeconds: 30 } });
    await world.time.runBy(1_100);
    expect(await world.conditions('migrations')).toContain('Ready=True/Serving');
    expect(await world.events()).toEqual([
      expect.stringContaining(
        'Warning InvalidSpec x1: The spec breaks a rule and is not in force: spec.leaseDurationSeconds',
      ),
    ]);
  });
});

describe('a LockPool', () => {
  it('opens its keys, counts them every few seconds, and closes them', async () => {
    const world = await ControllerWorld.started();
    await world.createPool('orders');
    expect(await world.conditions('orders', LOCK_POOLS)).toEqual(['Ready=True/Serving', 'Deadlocked=False/NoCycle']);
    const client = world.client();
    for (let number = 0; number < 10; number++)
      await client.acquire(`shop/orders/${number}`, 'alice', { ttlMs: 60_000 });
    client.send({ op: 'acquire', key: 'shop/orders/3', ownerId: 'bob', mode: 'exclusive', timeoutMs: -1 });
    await world.time.runBy(11_000);
    expect((await world.object('orders', LOCK_POOLS))?.['status']).toMatchObject({ holds: 10, waiters: 1, grants: 10 });
    const writes = world.store.seen('patchStatus', LOCK_POOLS).length;
    await world.time.runBy(60_000 - 12_000);
    expect(world.store.seen('patchStatus', LOCK_POOLS).length).toBe(writes);
    await world.embedded.delete(LOCK_POOLS, 'shop', 'orders');
    await world.time.runBy(100);
    expect(
      await client.ask({ op: 'acquire', key: 'shop/orders/99', ownerId: 'bob', mode: 'exclusive', timeoutMs: 0 }),
    ).toMatchObject({ code: 'LOCK_NOT_FOUND' });
  });
});
