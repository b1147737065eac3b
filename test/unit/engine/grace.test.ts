/**
 * Goal: a new owner grants nothing from memory before every promise of earlier owners has run out or been declared, and the
 * grace on record always covers every promise.
 * Method: crashes with holds of written lengths; sessions that reclaim, stay away or come late; time that passes until the
 * recorded grace may be lowered.
 */
import { describe, expect, test } from '@jest/globals';
import { EngineHarness } from '../../support/engine-harness.ts';

function setup() {
  const world = new EngineHarness();
  world.pool('jobs', { maxLeaseDurationMs: 300_000 });
  world.lock('migrations');
  return { world, alice: world.session('alice'), bob: world.session('bob') };
}

describe('after a crash', () => {
  test('a pool key is granted only when the recorded grace is over', () => {
    const { world, alice, bob } = setup();
    alice.tries('jobs/a', { ttlMs: 40_000 });
    world.crashes();
    bob.connects();
    expect(world.engine.inGrace).toBe(true);
    const next = bob.waits('jobs/a');
    world.passes(39_999);
    expect(next.isWaiting).toBe(true);
    world.passes(1);
    expect(next.isGranted).toBe(true);
    expect(world.engine.inGrace).toBe(false);
  });

  test('a try-lock is told how long the grace lasts', () => {
    const { world, alice, bob } = setup();
    alice.tries('jobs/a', { ttlMs: 40_000 });
    world.crashes();
    bob.connects();
    world.passes(10_000);
    expect(bob.tries('jobs/b').details).toMatchObject({ reason: 'grace', retryAfterMs: 30_000 });
  });

  test('a durable lock needs no grace', () => {
    const { world, alice, bob } = setup();
    alice.tries('jobs/a');
    world.crashes();
    bob.connects();
    expect(bob.tries('migrations').isGranted).toBe(true);
  });

  test('a shard that never granted from memory has none', () => {
    const { world, bob } = setup();
    world.crashes();
    bob.connects();
    expect(bob.tries('jobs/a').isGranted).toBe(true);
  });

  test('it ends early once every recorded session has declared all it has', () => {
    const { world, alice, bob } = setup();
    const held = alice.tries('jobs/a', { ttlMs: 60_000 });
    bob.tries('jobs/b');
    world.crashes();
    bob.connects();
    const next = bob.waits('jobs/c');
    bob.completesReclaim();
    expect(next.isWaiting).toBe(true);
    alice.connects();
    alice.reclaims(held);
    expect(next.isWaiting).toBe(true);
    alice.completesReclaim();
    expect(next.isGranted).toBe(true);
    expect(world.holders('jobs/a')).toEqual(['alice']);
    expect(world.count('graceEndedEarly')).toBe(1);
  });

  test('it does not end early after a restore: the record may not name every session', () => {
    const { world, alice, bob } = setup();
    alice.tries('jobs/a', { ttlMs: 40_000 });
    world.crashes(false);
    alice.connects();
    alice.completesReclaim();
    bob.connects();
    const next = bob.waits('jobs/b');
    world.passes(39_999);
    expect(next.isWaiting).toBe(true);
    world.passes(1);
    expect(next.isGranted).toBe(true);
  });

  test('it does not end early if there were more sessions than slots', () => {
    const { world, alice } = setup();
    world.session('unslotted', { slot: -1 }).tries('jobs/a', { ttlMs: 40_000 });
    alice.tries('jobs/b');
    world.crashes();
    alice.connects();
    alice.completesReclaim();
    expect(world.engine.inGrace).toBe(true);
  });

  test('a session that comes new does not end it, and one that says goodbye before it is complete does not either', () => {
    const { world, alice, bob } = setup();
    alice.tries('jobs/a', { ttlMs: 40_000 });
    world.crashes();
    bob.connects();
    bob.completesReclaim();
    expect(world.engine.inGrace).toBe(true);
    alice.connects();
    alice.closes('goodbye');
    expect(world.engine.inGrace).toBe(true);
  });

  test('an owner that crashes in its grace leaves every inherited slot to the next', () => {
    const { world, alice, bob } = setup();
    alice.tries('jobs/a', { ttlMs: 40_000 });
    bob.tries('jobs/b', { ttlMs: 40_000 });
    world.crashes();
    bob.connects();
    bob.completesReclaim();
    world.session('carol').tries('jobs/c', { timeoutMs: -1 });
    expect(world.shardRecord.slots).toContain(alice.slot);
    world.crashes();
    bob.connects();
    bob.completesReclaim();
    expect(world.engine.inGrace).toBe(true);
  });

  test('a second crash starts the grace anew, from the record', () => {
    const { world, alice, bob } = setup();
    alice.tries('jobs/a', { ttlMs: 40_000 });
    world.crashes();
    world.passes(30_000);
    world.crashes();
    bob.connects();
    const next = bob.waits('jobs/a');
    world.passes(39_999);
    expect(next.isWaiting).toBe(true);
  });
});

describe('the grace on record', () => {
  test('is raised before a longer promise is told', () => {
    const { world, alice } = setup();
    alice.tries('jobs/a', { ttlMs: 10_000 });
    world.writesWait = true;
    const asked = alice.tries('jobs/b', { ttlMs: 120_000 });
    expect(asked.isWaiting).toBe(true);
    expect(world.write(undefined).shardRecord.graceMs).toBe(120_000);
    world.write(undefined).lands();
    expect(asked.isGranted).toBe(true);
  });

  test('is lowered once every longer promise has run out, in steps', () => {
    const { world, alice } = setup();
    alice.releases(alice.tries('jobs/a', { ttlMs: 120_000 }));
    const short = alice.tries('jobs/b', { ttlMs: 20_000 });
    for (let step = 0; step < 60; step++) {
      world.passes(6_000);
      alice.renews(short);
      const remainingMs = world.inspect('jobs/b').holders[0]?.remainingMs ?? 0;
      expect(world.shardRecord.graceMs).toBeGreaterThanOrEqual(remainingMs);
    }
    expect(world.shardRecord.graceMs).toBe(20_000);
  });

  test('is kept at 15 s in an idle time, so that the next grant need not wait for a record', () => {
    const { world, alice } = setup();
    alice.releases(alice.tries('jobs/a', { ttlMs: 120_000 }));
    for (let step = 0; step < 60; step++) world.passes(10_000);
    expect(world.shardRecord.graceMs).toBe(15_000);
    world.writesWait = true;
    expect(alice.tries('jobs/b', { ttlMs: 15_000 }).isGranted).toBe(true);
  });

  test('is not lowered while a long promise is renewed', () => {
    const { world, alice } = setup();
    const long = alice.tries('jobs/a', { ttlMs: 120_000 });
    for (let step = 0; step < 20; step++) {
      world.passes(100_000);
      alice.renews(long);
      expect(world.shardRecord.graceMs).toBe(120_000);
    }
  });

  test('binds from the moment a lower one is sent: a longer promise then waits for a new record', () => {
    const { world, alice } = setup();
    alice.releases(alice.tries('jobs/a', { ttlMs: 120_000 }));
    const short = alice.tries('jobs/b', { ttlMs: 20_000 });
    world.writesWait = true;
    while (world.writes.length === 0) {
      world.passes(6_000);
      alice.renews(short);
    }
    expect(world.write(undefined).shardRecord.graceMs).toBe(20_000);
    const asked = alice.waits('jobs/c', { ttlMs: 50_000 });
    expect(asked.isWaiting).toBe(true);
    world.write(undefined).lands();
    expect(world.write(undefined).shardRecord.graceMs).toBe(50_000);
    world.write(undefined).lands();
    expect(asked.isGranted).toBe(true);
  });

  test('is not written lower than a promise made while its write had to wait', () => {
    const { world, alice } = setup();
    alice.releases(alice.tries('jobs/a', { ttlMs: 120_000 }));
    const short = alice.tries('jobs/b', { ttlMs: 10_000 });
    for (let step = 0; step < 30; step++) {
      world.passes(6_000);
      alice.renews(short);
    }
    // A write of the record is in flight when the review asks for a lower grace, and a long promise is made before it is sent.
    world.writesWait = true;
    world.session('newcomer').tries('jobs/c', { ttlMs: 10_000 });
    for (let step = 0; step < 40; step++) {
      world.passes(6_000);
      alice.renews(short);
    }
    const long = alice.tries('jobs/long', { ttlMs: 100_000 });
    expect(long.isGranted).toBe(true);
    while (world.writes.length > 0) {
      world.write(undefined).lands();
      expect(world.shardRecord.graceMs).toBeGreaterThanOrEqual(100_000);
    }
  });
});
