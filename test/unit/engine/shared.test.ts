/**
 * Goal: readers hold together, a writer alone, and neither keeps the other out: the phases of Brandenburg and Anderson (2009).
 * Method: readers and writers of different pods come in a written order; what is looked at is who holds after each step.
 */
import { describe, expect, test } from '@jest/globals';
import { EngineHarness } from '../../support/engine-harness.ts';
import type { Ask, TestSession } from '../../support/engine-session.ts';

function setup() {
  const world = new EngineHarness();
  world.pool('cache');
  const sessions = new Map<string, TestSession>();
  const asks = new Map<string, Ask>();
  const session = (name: string) => {
    const known = sessions.get(name) ?? world.session(name);
    sessions.set(name, known);
    return known;
  };
  return {
    world,
    session,
    reads: (name: string) => void asks.set(name, session(name).waits('cache/k', { mode: 'shared' })),
    writes: (name: string) => void asks.set(name, session(name).waits('cache/k')),
    leaves: (name: string) => void session(name).releases(asks.get(name) as Ask),
    holders: () => world.holders('cache/k'),
  };
}

describe('who may hold together', () => {
  test('any number of readers', () => {
    const { reads, holders } = setup();
    const names = Array.from({ length: 20 }, (_, index) => `reader-${index}`);
    for (const name of names) reads(name);
    expect(holders()).toEqual(names);
  });

  test('no writer beside a reader, no reader beside a writer', () => {
    const { reads, writes, leaves, holders } = setup();
    reads('reader');
    writes('writer');
    expect(holders()).toEqual(['reader']);
    leaves('reader');
    expect(holders()).toEqual(['writer']);
    reads('another');
    expect(holders()).toEqual(['writer']);
  });

  test('every reader has a token of its own', () => {
    const { reads, world } = setup();
    reads('first');
    reads('second');
    const [first, second] = world.inspect('cache/k').holders;
    expect(second?.token).toBeGreaterThan(first?.token as number);
  });
});

describe('phases', () => {
  test('a reader does not overtake a writer that waits', () => {
    const { reads, writes, holders } = setup();
    reads('reader');
    writes('writer');
    reads('late reader');
    expect(holders()).toEqual(['reader']);
  });

  test('a stream of readers does not keep a writer out', () => {
    const { reads, writes, leaves, holders } = setup();
    reads('r1');
    writes('writer');
    for (const name of ['r2', 'r3', 'r4']) reads(name);
    leaves('r1');
    expect(holders()).toEqual(['writer']);
  });

  test('the end of a writer lets all waiting readers in, also those behind the next writer', () => {
    const { reads, writes, leaves, holders, world } = setup();
    writes('w1');
    reads('r1');
    writes('w2');
    reads('r2');
    writes('w3');
    reads('r3');
    leaves('w1');
    expect(holders()).toEqual(['r1', 'r2', 'r3']);
    expect(world.count('readerBatch')).toBe(1);
  });

  test('a reader that comes after the batch waits for one writer and no more', () => {
    const { reads, writes, leaves, holders } = setup();
    writes('w1');
    writes('w2');
    writes('w3');
    reads('r1');
    leaves('w1');
    expect(holders()).toEqual(['r1']);
    reads('r2');
    expect(holders()).toEqual(['r1']);
    leaves('r1');
    expect(holders()).toEqual(['w2']);
    leaves('w2');
    expect(holders()).toEqual(['r2']);
    leaves('r2');
    expect(holders()).toEqual(['w3']);
  });

  test('the next writer waits until the whole batch has left', () => {
    const { reads, writes, leaves, holders } = setup();
    writes('w1');
    reads('r1');
    reads('r2');
    writes('w2');
    leaves('w1');
    leaves('r2');
    expect(holders()).toEqual(['r1']);
    leaves('r1');
    expect(holders()).toEqual(['w2']);
  });

  test('a writer that gives up waiting lets the readers behind it in', () => {
    const { reads, session, holders } = setup();
    reads('r1');
    const writer = session('writer').waits('cache/k');
    reads('r2');
    expect(holders()).toEqual(['r1']);
    session('writer').cancels(writer);
    expect(holders()).toEqual(['r1', 'r2']);
  });

  test('a reader whose session was silent enters with its batch when it comes back', () => {
    const { world, writes, leaves, holders } = setup();
    writes('w1');
    const reader = world.session('sleeper', { remote: true });
    reader.waits('cache/k', { mode: 'shared' });
    writes('w2');
    world.passes(5_000);
    const other = world.session('other').waits('cache/k', { mode: 'shared' });
    leaves('w1');
    expect(holders()).toEqual(['other']);
    reader.isHeard();
    expect(holders()).toEqual(['other', 'sleeper']);
    expect(other.isGranted).toBe(true);
  });
});

describe('one owner in both modes', () => {
  test('its own reader joins although a writer waits, else it would wait for the writer that waits for it', () => {
    const { reads, writes, session } = setup();
    reads('reader');
    writes('writer');
    expect(session('reader').waits('cache/k', { mode: 'shared' }).depth).toBe(2);
  });

  test('from shared to exclusive is a deadlock at once, also for a try-lock', () => {
    const { reads, session } = setup();
    reads('reader');
    for (const timeoutMs of [0, -1, 10_000]) {
      const upgrade = session('reader').tries('cache/k', { timeoutMs });
      expect(upgrade.code).toBe('DEADLOCK');
      expect(upgrade.details).toMatchObject({ reason: 'upgrade' });
    }
  });

  test('from exclusive to shared is a join that stays exclusive', () => {
    const { writes, session, holders } = setup();
    writes('writer');
    expect(session('writer').tries('cache/k', { mode: 'shared' }).hold).toMatchObject({ depth: 2, mode: 'exclusive' });
    expect(session('reader').tries('cache/k', { mode: 'shared' }).code).toBe('LOCK_HELD');
    expect(holders()).toEqual(['writer']);
  });
});

test('a durable lock knows the same phases', () => {
  const world = new EngineHarness();
  world.lock('schema');
  const writer = world.session('writer');
  const first = writer.waits('schema');
  const readers = ['r1', 'r2'].map((name) => world.session(name).waits('schema', { mode: 'shared' }));
  const next = world.session('next').waits('schema');
  writer.releases(first);
  expect(readers.map((reader) => reader.isGranted)).toEqual([true, true]);
  expect(next.isWaiting).toBe(true);
  expect(world.lease('schema').holders.map((holder) => holder.mode)).toEqual(['shared', 'shared']);
});

test('a semaphore has no readers', () => {
  const world = new EngineHarness();
  world.pool('slots', { permits: 3 });
  const asked = world.session('alice').tries('slots/a', { mode: 'shared' });
  expect(asked.code).toBe('INVALID_ARGUMENT');
  expect(asked.details).toMatchObject({ field: 'mode' });
});
