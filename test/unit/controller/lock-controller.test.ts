/**
 * Goal: a DistributedLock and the lock it stands for stay in step over its life. Method: the real lock server and the real
 * controllers on the embedded API, virtual time.
 */
import { describe, expect, it } from '@jest/globals';
import { DISTRIBUTED_LOCKS } from '../../../src/kube/kube-object.ts';
import { ControllerWorld } from './controller-world.ts';

const KEY = 'shop/migrations';

describe('a new object', () => {
  it('opens its lock by its spec and says so', async () => {
    const world = await ControllerWorld.started();
    await world.createLock('migrations', { leaseDurationSeconds: 20 });
    expect(await world.conditions('migrations')).toEqual([
      'Ready=True/Serving',
      'Held=False/Free',
      'Contended=False/NoWaiters',
      'Deadlocked=False/NoCycle',
    ]);
    expect(await world.status('migrations')).toMatchObject({ waiters: 0, observedGeneration: 1 });
    expect((await world.client().acquire(KEY, 'alice')).ttlMs).toBe(20_000);
  });
});

describe('the status', () => {
  it('names the holder, its token and since when, and keeps the token when the lock is free', async () => {
    const world = await ControllerWorld.started();
    await world.createLock('migrations');
    const client = world.client();
    const { token } = await client.acquire(KEY, 'alice');
    await world.time.runBy(50);
    expect(await world.status('migrations')).toMatchObject({
      holder: 'pod-a/alice',
      holders: [{ principal: 'pod-a', ownerId: 'alice', mode: 'exclusive', fencingToken: String(token) }],
      mode: 'exclusive',
      fencingToken: String(token),
      heldSince: '2026-06-01T00:00:01Z',
    });
    expect(await world.conditions('migrations')).toContain('Held=True/Granted');
    await client.ask({ op: 'release', key: KEY, token });
    await world.time.runBy(1_100);
    const status = await world.status('migrations');
    expect(status).toMatchObject({ fencingToken: String(token), waiters: 0 });
    expect(status.holder).toBeUndefined();
    expect(status.heldSince).toBeUndefined();
    expect(await world.conditions('migrations')).toContain('Held=False/Free');
  });

  it('does not move with renewals', async () => {
    const world = await ControllerWorld.started();
    await world.createLock('migrations');
    const client = world.client();
    const { token } = await client.acquire(KEY, 'alice');
    await world.time.runBy(2_000);
    const version = (await world.object('migrations'))?.metadata.resourceVersion;
    for (let renewals = 0; renewals < 10; renewals++) {
      await client.ask({ op: 'renew', key: KEY, token });
      await world.time.runBy(1_000);
    }
    expect((await world.object('migrations'))?.metadata.resourceVersion).toBe(version);
  });

  it('says when acquires wait, and that a queue is full', async () => {
    const world = await ControllerWorld.started();
    await world.createLock('migrations', { maxWaiters: 2 });
    const client = world.client();
    await client.acquire(KEY, 'alice', { ttlMs: 60_000 });
    client.send({ op: 'acquire', key: KEY, ownerId: 'bob', mode: 'exclusive', timeoutMs: -1 });
    await world.time.runBy(1_100);
    expect(await world.conditions('migrations')).toContain('Contended=True/WaitersQueued');
    client.send({ op: 'acquire', key: KEY, ownerId: 'carol', mode: 'exclusive', timeoutMs: -1 });
    await world.time.runBy(1_100);
    expect(await world.conditions('migrations')).toContain('Contended=True/QueueFull');
    expect((await world.status('migrations')).waiters).toBe(2);
  });

  it('keeps conditions of other controllers', async () => {
    const world = await ControllerWorld.started();
    await world.createLock('migrations');
    const foreign = {
      type: 'Audited',
      status: 'True',
      reason: 'Yes',
      message: '',
      lastTransitionTime: '2026-01-01T00:00:00Z',
    };
    const conditions = [...((await world.status('migrations')).conditions ?? []), foreign];
    await world.embedded.patchStatus(DISTRIBUTED_LOCKS, 'shop', 'migrations', { status: { conditions } });
    await world.client().acquire(KEY, 'alice');
    await world.time.runBy(1_100);
    expect(await world.conditions('migrations')).toEqual(
      expect.arrayContaining(['Held=True/Granted', 'Audited=True/Yes']),
    );
  });

  it('is decided anew after a conflict', async () => {
    const world = await ControllerWorld.started();
    await world.createLock('migrations');
    let edited = false;
    world.store.fault = ({ call }) => {
      if (call === 'patchStatus' && !edited) {
        edited = true;
        void world.embedded.patch(DISTRIBUTED_LOCKS, 'shop', 'migrations', { metadata: { labels: { team: 'a' } } });
      }
      return undefined;
    };
    await world.client().acquire(KEY, 'alice');
    await world.time.runBy(1_500);
    expect(await world.conditions('migrations')).toContain('Held=True/Granted');
    expect((await world.object('migrations'))?.metadata.labels).toEqual({ team: 'a' });
  });
});

describe('a watch that tells nothing', () => {
  it('does not keep a status from being written over an edit that nobody heard of', async () => {
    const world = await ControllerWorld.started();
    await world.createLock('migrations');
    world.store.silent = true;
    await world.embedded.patch(DISTRIBUTED_LOCKS, 'shop', 'migrations', { metadata: { labels: { team: 'a' } } });
    await world.client().acquire(KEY, 'alice');
    await world.time.runBy(2_000);
    expect(await world.conditions('migrations')).toContain('Held=True/Granted');
  });
});

describe('an edit', () => {
  it('applies to grants after it', async () => {
    const world = await ControllerWorld.started();
    await world.createLock('migrations');
    await world.embedded.patch(DISTRIBUTED_LOCKS, 'shop', 'migrations', { spec: { leaseDurationSeconds: 30 } });
    await world.time.runBy(1_100);
    expect((await world.client().acquire(KEY, 'alice')).ttlMs).toBe(30_000);
    await world.time.runBy(1_100);
    expect(await world.status('migrations')).toMatchObject({ observedGeneration: 2 });
  });
});

describe('a deletion', () => {
  it('refuses new acquires, lets the hold live to its end, keeps the Lease, and tells so', async () => {
    const world = await ControllerWorld.started();
    await world.createLock('migrations');
    const client = world.client();
    const { token } = await client.acquire(KEY, 'alice');
    await world.embedded.delete(DISTRIBUTED_LOCKS, 'shop', 'migrations');
    await world.time.runBy(100);
    expect(
      await client.ask({ op: 'acquire', key: KEY, ownerId: 'bob', mode: 'exclusive', timeoutMs: 0 }),
    ).toMatchObject({
      code: 'LOCK_NOT_FOUND',
    });
    expect(await client.ask({ op: 'renew', key: KEY, token })).toMatchObject({ kind: 'hold' });
    expect(await client.ask({ op: 'release', key: KEY, token })).toMatchObject({ kind: 'released' });
    expect(await world.embedded.leases.get('shop', 'lock-migrations')).toBeDefined();
    await world.time.runBy(1_000);
    expect(await world.events()).toEqual([expect.stringContaining('Warning DeletedWhileHeld x1')]);
  });

  it('of an object that comes again: tokens go on', async () => {
    const world = await ControllerWorld.started();
    await world.createLock('migrations');
    const client = world.client();
    const { token } = await client.acquire(KEY, 'alice');
    await client.ask({ op: 'release', key: KEY, token });
    await world.embedded.delete(DISTRIBUTED_LOCKS, 'shop', 'migrations');
    await world.time.runBy(100);
    await world.createLock('migrations');
    expect((await client.acquire(KEY, 'bob')).token).toBeGreaterThan(token);
  });

  it('while the operator is down closes the lock all the same', async () => {
    const world = await ControllerWorld.started();
    await world.createLock('migrations');
    const { token } = await world.client().acquire(KEY, 'alice', { ttlMs: 60_000 });
    await world.stop();
    await world.embedded.delete(DISTRIBUTED_LOCKS, 'shop', 'migrations');
    await world.start();
    const client = world.client();
    expect(
      await client.ask({ op: 'acquire', key: KEY, ownerId: 'bob', mode: 'exclusive', timeoutMs: 0 }),
    ).toMatchObject({
      code: 'LOCK_NOT_FOUND',
    });
    expect(world.server.inspect(KEY)?.holders[0]?.token).toBe(token);
  });
});

describe('the recorded token', () => {
  it('keeps tokens growing when the Lease was lost and the clock is behind', async () => {
    const world = await ControllerWorld.started();
    await world.createLock('migrations');
    const ahead = String(world.time.wallMs() + 86_400_000);
    await world.stop();
    const status = { fencingToken: ahead };
    await world.embedded.patchStatus(DISTRIBUTED_LOCKS, 'shop', 'migrations', { status });
    await world.start();
    expect((await world.client().acquire(KEY, 'alice')).token).toBeGreaterThan(Number(ahead));
  });
});
