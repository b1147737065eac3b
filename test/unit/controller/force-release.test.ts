/**
 * Goal: a force release asked for by annotation is done once for each value, also over a crash between its steps, and hits
 * nobody who was granted the lock afterwards. Method: every write of the controller made to fail, or its answer lost, in turn,
 * with a restart of the process after it.
 */
import { describe, expect, it } from '@jest/globals';
import { FORCE_RELEASE_ANNOTATION, FORCE_RELEASED_ANNOTATION } from '../../../src/controller/annotations.ts';
import type { Fault } from '../../support/fake-object-store.ts';
import { DISTRIBUTED_LOCKS } from '../../../src/kube/kube-object.ts';
import { ControllerWorld } from './controller-world.ts';

const KEY = 'shop/migrations';

async function annotationsOf(world: ControllerWorld) {
  return (await world.object('migrations'))?.metadata.annotations ?? {};
}

describe('the annotation force-release', () => {
  it('ends the hold, tells who lost and why, and is replaced by a record', async () => {
    const world = await ControllerWorld.started();
    await world.createLock('migrations');
    const client = world.client();
    const { token } = await client.acquire(KEY, 'alice');
    await world.annotate('migrations', { [FORCE_RELEASE_ANNOTATION]: 'stuck since noon' });
    await world.time.runBy(1_100);
    expect(client.lost).toMatchObject([{ token, reason: 'forceReleased' }]);
    expect(await annotationsOf(world)).toEqual({
      [FORCE_RELEASED_ANNOTATION]: expect.stringMatching(/^2026-06-01T00:00:0\dZ stuck since noon$/),
    });
    expect(await world.events()).toEqual([
      `Warning ForceReleased x1: kubectl annotate force-released the lock: stuck since noon. pod-a/alice (token ${token}) lost it.`,
    ]);
    expect(await world.status('migrations')).toMatchObject({ fencingToken: String(token + 1) });
    expect(await world.conditions('migrations')).toContain('Held=False/Free');
  });

  it('tells so when nobody held the lock', async () => {
    const world = await ControllerWorld.started();
    await world.createLock('migrations', {}, { [FORCE_RELEASE_ANNOTATION]: 'just in case' });
    expect(await annotationsOf(world)).toEqual({
      [FORCE_RELEASED_ANNOTATION]: expect.stringContaining('just in case'),
    });
    expect(await world.events()).toEqual([
      'Warning ForceReleased x1: kubectl annotate force-released the lock: just in case. No hold was left to end.',
    ]);
  });

  it('works again with the same reason once it was done', async () => {
    const world = await ControllerWorld.started();
    await world.createLock('migrations');
    const client = world.client();
    for (const owner of ['alice', 'bob']) {
      await client.acquire(KEY, owner);
      await world.annotate('migrations', { [FORCE_RELEASE_ANNOTATION]: 'stuck' });
      await world.time.runBy(1_100);
    }
    expect(client.lost.map(({ ownerId }) => ownerId)).toEqual(['alice', 'bob']);
  });

  it('is tried again, and told, while the end cannot be recorded', async () => {
    const world = await ControllerWorld.started();
    await world.createLock('migrations');
    const client = world.client();
    await client.acquire(KEY, 'alice', { ttlMs: 60_000 });
    const update = world.embedded.leases.update.bind(world.embedded.leases);
    world.embedded.leases.update = (lease, options) =>
      lease.metadata.namespace === 'shop' ? Promise.reject(new Error('no quota')) : update(lease, options);
    await world.annotate('migrations', { [FORCE_RELEASE_ANNOTATION]: 'stuck' });
    await world.time.runBy(1_100);
    expect(Object.keys(await annotationsOf(world))).toContain(FORCE_RELEASE_ANNOTATION);
    world.embedded.leases.update = update;
    await world.time.runBy(30_000);
    expect(Object.keys(await annotationsOf(world))).toEqual([FORCE_RELEASED_ANNOTATION]);
    expect(world.server.inspect(KEY)?.holderCount).toBe(0);
  });
});

describe('a crash between the steps', () => {
  const rows: readonly [step: string, index: number, fault: Exclude<Fault, undefined>, released: boolean][] = [
    ['before the intention is written', 0, 'fail', false],
    // The process lives a moment longer: it hears of its intention from the watch, and acts.
    ['after the intention is written, its answer lost', 0, 'loseAnswer', true],
    ['after the release, before it is noted', 1, 'fail', true],
    ['after the release is noted, the answer lost', 1, 'loseAnswer', true],
  ];
  it.each(rows)('%s: done once, and a later holder keeps the lock', async (_, index, fault, released) => {
    const world = await ControllerWorld.started();
    await world.createLock('migrations');
    const first = await world.client().acquire(KEY, 'alice', { ttlMs: 600_000 });
    let patches = 0;
    let crashed = false;
    world.store.fault = ({ call, type }) => {
      if (call !== 'patch' || type.plural !== DISTRIBUTED_LOCKS.plural) return undefined;
      if (crashed) return 'fail';
      if (patches++ !== index) return undefined;
      crashed = true;
      return fault;
    };
    await world.annotate('migrations', { [FORCE_RELEASE_ANNOTATION]: 'stuck' });
    await world.time.runBy(500);
    expect(crashed).toBe(true);
    await world.stop();
    world.store.fault = () => undefined;
    expect(await leaseHolders(world)).toHaveLength(released ? 0 : 1);
    await grantBeforeTheController(world, released);
    await world.time.runBy(2_000);
    expect(Object.keys(await annotationsOf(world))).toEqual([FORCE_RELEASED_ANNOTATION]);
    const holders = world.server.inspect(KEY)?.holders ?? [];
    expect(holders.map(({ ownerId }) => ownerId)).toEqual(released ? ['bob'] : []);
    expect(holders.every(({ token }) => token > first.token)).toBe(true);
  });

  async function leaseHolders(world: ControllerWorld): Promise<unknown[]> {
    const lease = await world.embedded.leases.get('shop', 'lock-migrations');
    return JSON.parse(lease?.metadata.annotations?.['lockkeeper.dev/holders'] ?? '[]') as unknown[];
  }

  /** The process starts again; bob, if he can, is granted the lock before the controller has seen any object. */
  async function grantBeforeTheController(world: ControllerWorld, isFree: boolean): Promise<void> {
    world.store.fault = ({ call, type }) =>
      call === 'list' && type.plural === DISTRIBUTED_LOCKS.plural ? 'fail' : undefined;
    await world.start();
    if (isFree) {
      world.server.configureLock(KEY, (await import('../../../src/api/policies.ts')).DEFAULT_LOCK_POLICY);
      await world.client('pod-b').acquire(KEY, 'bob', { ttlMs: 600_000 });
    }
    world.store.fault = () => undefined;
    await world.time.runBy(5_000);
  }
});
