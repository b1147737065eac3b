/** Goal: the controllers as one thing: many locks at once, their metrics, their end. */
import { describe, expect, it } from '@jest/globals';
import { Registry } from 'prom-client';
import { startControllers } from '../../../src/controller/controllers.ts';
import { API_VERSION } from '../../../src/api/custom-resources/resource.ts';
import { DISTRIBUTED_LOCKS } from '../../../src/kube/kube-object.ts';
import { silentLog } from '../../../src/system/logger.ts';
import { ControllerWorld } from './controller-world.ts';

describe('300 locks', () => {
  it('are all opened at once; their statuses come within the budget', async () => {
    const world = await ControllerWorld.started();
    const names = Array.from({ length: 300 }, (_, index) => `lock-${index}`);
    const startedMs = world.time.monotonicMs();
    for (const name of names) {
      await world.embedded.create(DISTRIBUTED_LOCKS, {
        apiVersion: API_VERSION,
        kind: 'DistributedLock',
        metadata: { name, namespace: 'shop' },
        spec: {},
      });
    }
    await world.time.runBy(100);
    expect(names.every((name) => world.server.hasRules('lock', `shop/${name}`))).toBe(true);
    await world.time.runBy(10_000);
    const writes = world.store.seen('patchStatus', DISTRIBUTED_LOCKS);
    expect(writes).toHaveLength(300);
    for (let second = 0; second < 10; second++) {
      const fromMs = startedMs + second * 1_000;
      expect(writes.filter(({ atMs }) => atMs >= fromMs && atMs < fromMs + 1_000).length).toBeLessThanOrEqual(50);
    }
  });
});

describe('a hot lock', () => {
  it('costs at most one status write a second', async () => {
    const world = await ControllerWorld.started();
    await world.createLock('migrations');
    const client = world.client();
    const before = world.store.seen('patchStatus', DISTRIBUTED_LOCKS).length;
    for (let step = 0; step < 500; step++) {
      const { token } = await client.acquire('shop/migrations', `owner-${step % 3}`);
      await world.time.runBy(10);
      await client.ask({ op: 'release', key: 'shop/migrations', token });
      await world.time.runBy(10);
    }
    const writes = world.store.seen('patchStatus', DISTRIBUTED_LOCKS).length - before;
    expect(writes).toBeLessThanOrEqual(11);
    expect(writes).toBeGreaterThanOrEqual(5);
    await world.time.runBy(1_100);
    expect(await world.conditions('migrations')).toContain('Held=False/Free');
  });
});

describe('a store that fails', () => {
  it('is asked again until everything is as it should be', async () => {
    const world = await ControllerWorld.started();
    await world.createLock('migrations');
    let calls = 0;
    world.store.fault = () => (calls++ % 3 === 0 ? undefined : calls % 3 === 1 ? 'fail' : 'loseAnswer');
    const { token } = await world.client().acquire('shop/migrations', 'alice', { ttlMs: 600_000 });
    await world.time.runBy(30_000);
    expect(await world.status('migrations')).toMatchObject({ holder: 'pod-a/alice', fencingToken: String(token) });
  });
});

describe('metrics', () => {
  it('count reconciles, failures, status writes and what was folded', async () => {
    const world = await ControllerWorld.started();
    const registry = new Registry();
    await world.controllers[Symbol.asyncDispose]();
    await using controllers = startControllers({
      store: world.store,
      leases: world.embedded.leases,
      authority: world.authority,
      instance: 'operator-0',
      registry,
      clock: world.time,
      timers: world.time,
      random: world.random,
      log: silentLog,
    });
    await world.createLock('migrations');
    expect(controllers.synced).toBe(true);
    const text = await registry.metrics();
    expect(text).toMatch(/lockkeeper_reconcile_seconds_count\{kind="DistributedLock"\} [1-9]/);
    expect(text).toContain('lockkeeper_status_writes_total{kind="DistributedLock"} 1');
    expect(text).toContain('lockkeeper_reconcile_queue_depth 0');
    expect(text).toContain('lockkeeper_status_sheds_total');
  });
});

describe('disposal', () => {
  it('leaves nothing running', async () => {
    const world = await ControllerWorld.started();
    await world.createLock('migrations');
    await world.stop();
    expect(world.store.openWatches).toBe(0);
    const calls = world.store.calls.length;
    await world.time.runBy(3_600_000 * 3);
    expect(world.store.calls.length).toBe(calls);
    expect(world.time.nextDueMs()).toBe(Number.POSITIVE_INFINITY);
  });
});
