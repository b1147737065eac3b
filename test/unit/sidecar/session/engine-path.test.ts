/**
 * Goal: session client and lock engine together keep what each promises: usable holds, one valid holder, nothing left behind.
 * Method: real engines behind a small in-memory adapter, several sessions, one virtual time, delays where they hurt.
 */
import { describe, expect, test } from '@jest/globals';
import type { LockPolicy } from '../../../../src/api/policies.ts';
import { compareForAcquireAll } from '../../../../src/api/shard-hash.ts';
import type { HoldEvent } from '../../../../src/api/responses.ts';
import type { LocalLocks } from '../../../../src/sidecar/session/local-locks.ts';
import { seededRandom } from '../../../../src/system/random.ts';
import { VirtualTime } from '../../../../src/system/virtual.ts';
import { EngineShards } from './engine-shards.ts';
import { contextAt, openOn, watch } from './setup.ts';

function setup(pools: Readonly<Record<string, Partial<LockPolicy>>> = {}) {
  const time = new VirtualTime();
  const owners = new EngineShards(time, pools);
  let seed = 0;
  const open = (sessionId: number, awaitsSaved = false): LocalLocks =>
    openOn(time, { openTransport: owners.connect(sessionId), random: seededRandom(++seed), awaitsSaved });
  const context = (signal?: AbortSignal) => contextAt(time, signal);
  /** Lets time pass until the promise is settled, at most a second of it. */
  const now = async <Value>(promise: Promise<Value>): Promise<Value> => {
    const settled = watch(promise);
    for (let count = 0; count <= 1_000 && Object.keys(settled).length === 0; count++)
      await time.runBy(count === 0 ? 0 : 1);
    if (Object.keys(settled).length === 0) throw new Error('nothing came of it within a second');
    return promise;
  };
  return { time, owners, open, context, now };
}

describe('a wait of four times the time to live', () => {
  test('ends in a usable hold, of which nobody else is granted any part', async () => {
    const { time, owners, open, context, now } = setup();
    const [first, second, third] = [open(1), open(2), open(3)];
    await now(first.acquire('pool/a', { ownerId: 'first', autoRenew: true, maxHoldMs: 3_600_000 }, context()));
    const before = await held(first, 'pool/a');
    expect(before).toBeGreaterThan(0);
    const asked = context();
    const waiting = watch(second.acquire('pool/a', { ttlMs: 15_000, timeoutMs: -1 }, asked));
    await time.runBy(60_000);
    // The grant is on its way for nine tenths of its time: what is left of it is renewed, or it is none.
    owners.downMs = 13_500;
    const releasedAtMs = time.monotonicMs();
    void watch(first.release('pool/a', { fencingToken: '1' }, context()));
    const next = watch(third.acquire('pool/a', { ttlMs: 15_000, timeoutMs: -1 }, context()));
    await time.runBy(0);
    owners.downMs = 0;
    await time.runBy(13_500);
    const hold = waiting.value;
    const validUntilMs = asked.receivedAtMs + (hold?.validForMs ?? 0);
    expect(hold?.fencingToken).toBe('2');
    expect(validUntilMs).toBeGreaterThan(time.monotonicMs() + 14_000);
    // Nobody renews it: the next one is granted when the owner frees, which is later than the holder stops.
    let grantedAtMs: number | undefined;
    while (grantedAtMs === undefined && time.monotonicMs() < releasedAtMs + 60_000) {
      await time.runBy(10);
      if (next.value !== undefined) grantedAtMs = time.monotonicMs();
    }
    expect(grantedAtMs).toBeGreaterThan(validUntilMs);

    async function held(locks: LocalLocks, lockId: string): Promise<number> {
      return (await now(locks.held(lockId, '1', undefined, context()))).validForMs;
    }
  });

  test('keeps its place while its session is heard, and is passed over while it is not', async () => {
    const { time, owners, open, context, now } = setup();
    const [first, second] = [open(1), open(2)];
    const hold = await now(first.acquire('pool/a', { ttlMs: 3_600_000 }, context()).catch(() => undefined));
    expect(hold).toBeUndefined();
    await now(first.acquire('pool/a', { ttlMs: 60_000 }, context()));
    const waiting = watch(second.acquire('pool/a', { timeoutMs: -1 }, context()));
    await time.runBy(30_000);
    owners.cut = true;
    await time.runBy(10_000);
    owners.cut = false;
    await time.runBy(19_000);
    expect(waiting).toEqual({});
    await time.runBy(1_100);
    expect(waiting.value?.fencingToken).toBe('2');
  });
});

describe('a caller who leaves', () => {
  test('while queued frees the place', async () => {
    const { time, owners, open, context, now } = setup();
    const locks = open(1);
    const { fencingToken } = await now(locks.acquire('pool/a', { ownerId: 'first' }, context()));
    const controller = new AbortController();
    const leaving = watch(locks.acquire('pool/a', { timeoutMs: -1 }, context(controller.signal)));
    const staying = watch(locks.acquire('pool/a', { timeoutMs: -1 }, context()));
    await time.runBy(100);
    expect(owners.inspect('team/pool/a').waiterCount).toBe(2);
    controller.abort();
    await time.runBy(0);
    expect(owners.inspect('team/pool/a').waiterCount).toBe(1);
    await now(locks.release('pool/a', { fencingToken }, context()));
    await time.runBy(0);
    expect(leaving.code).toBe('UNAVAILABLE');
    expect(staying.value?.fencingToken).toBe('2');
  });

  test('just as the grant is made gives it back, and the next is served', async () => {
    const { time, owners, open, context } = setup();
    const locks = open(1);
    owners.upMs = 5;
    owners.downMs = 50;
    const first = watch(locks.acquire('pool/a', { ownerId: 'first' }, context()));
    await time.runBy(60);
    const controller = new AbortController();
    const leaving = watch(locks.acquire('pool/a', { timeoutMs: -1 }, context(controller.signal)));
    const staying = watch(locks.acquire('pool/a', { timeoutMs: -1 }, context()));
    await time.runBy(100);
    void watch(locks.release('pool/a', { fencingToken: first.value?.fencingToken ?? '' }, context()));
    await time.runBy(10);
    expect(owners.inspect('team/pool/a').holders[0]?.token).toBe(2);
    controller.abort();
    await time.runBy(200);
    expect(leaving.code).toBe('UNAVAILABLE');
    expect(staying.value?.fencingToken).toBe('3');
    expect(owners.holdCount()).toBe(1);
  });

  test('before a durable grant is written takes nothing with it', async () => {
    const { time, owners, open, context, now } = setup();
    const locks = open(1);
    const controller = new AbortController();
    const leaving = watch(locks.acquire('migrations', {}, context(controller.signal)));
    controller.abort();
    await time.runBy(100);
    expect(leaving.code).toBe('UNAVAILABLE');
    expect(owners.holdCount()).toBe(0);
    expect((await now(locks.acquire('migrations', {}, context()))).fencingToken).toBe('2');
  });
});

test('a renewal never shortens, here or there', async () => {
  const { time, owners, open, context, now } = setup();
  const locks = open(1);
  const { fencingToken } = await now(locks.acquire('pool/a', { ttlMs: 60_000 }, context()));
  await time.runBy(10_000);
  const renewed = await now(locks.renew('pool/a', { fencingToken, ttlMs: 2_000 }, context()));
  expect(renewed.validForMs).toBe(50_000 - 1_050);
  expect(owners.inspect('team/pool/a').holders[0]?.remainingMs).toBe(50_000);
  await time.runBy(48_000);
  expect((await now(locks.held('pool/a', fencingToken, undefined, context()))).validForMs).toBe(950);
});

test('one owner on many threads: re-entries and releases in any order never free the lock under a holder', async () => {
  const { time, owners, open, context } = setup();
  const [locks, other] = [open(1), open(2)];
  owners.upMs = 3;
  owners.downMs = 7;
  const random = seededRandom(11);
  let inside = 0;
  const token = { valid: '' };
  const overlaps: string[][] = [];
  const rounds = Array.from({ length: 200 }, async (_, index) => {
    await new Promise<void>((resolve) => time.after(random.integer(3_000), resolve));
    const locksOf = index % 5 === 0 ? other : locks;
    const ownerId = index % 5 === 0 ? `other-${index}` : 'same';
    const hold = await locksOf.acquire('pool/a', { ownerId, timeoutMs: -1, ttlMs: 60_000 }, context());
    if (inside > 0 && hold.fencingToken !== token.valid) overlaps.push([token.valid, hold.fencingToken]);
    inside++;
    token.valid = hold.fencingToken;
    await new Promise<void>((resolve) => time.after(random.integer(20), resolve));
    inside--;
    await locksOf.release('pool/a', { fencingToken: hold.fencingToken }, context());
  });
  const all = watch(Promise.all(rounds));
  await time.runBy(120_000);
  expect(all.error).toBeUndefined();
  expect(all.value).toHaveLength(200);
  expect(overlaps).toEqual([]);
  expect(owners.holdCount()).toBe(0);
});

describe('acquireAll', () => {
  test('two in opposite orders both get everything, one after the other', async () => {
    const { time, owners, open, context } = setup();
    const [one, two] = [open(1), open(2)];
    owners.upMs = 1;
    owners.downMs = 1;
    const ids = Array.from({ length: 8 }, (_, index) => `pool/${index}`);
    const first = watch(one.acquireAll({ ids, timeoutMs: -1 }, context()));
    const second = watch(two.acquireAll({ ids: ids.toReversed(), timeoutMs: -1 }, context()));
    await time.runBy(12_000);
    const [winner, loser, locks] = first.value === undefined ? [second, first, two] : [first, second, one];
    expect(winner.value?.holds).toHaveLength(8);
    expect(loser).toEqual({});
    const holds = winner.value?.holds ?? [];
    void watch(
      locks.releaseAll({ holds: holds.map(({ lockId, fencingToken }) => ({ lockId, fencingToken })) }, context()),
    );
    await time.runBy(1_000);
    expect(loser.value?.holds).toHaveLength(8);
    expect(loser.value?.validForMs).toBeGreaterThan(12_000 + 7_000);
    expect(owners.holdCount()).toBe(8);
  });

  test('or none: what was taken is back at once, and was alive all the while', async () => {
    const { time, owners, open, context, now } = setup();
    const [one, two] = [open(1), open(2)];
    const ids = ['pool/a', 'pool/b', 'pool/c'].toSorted((left, right) =>
      compareForAcquireAll(`team/${left}`, `team/${right}`),
    );
    const last = ids.at(-1) ?? '';
    const blocked = { ownerId: 'blocker', autoRenew: true, maxHoldMs: 600_000 };
    await now(two.acquire(last, blocked, context()));
    const answer = watch(one.acquireAll({ ids, ttlMs: 5_000, timeoutMs: 30_000 }, context()));
    await time.runBy(29_000);
    expect(owners.holdCount()).toBe(3);
    await time.runBy(1_100);
    expect(answer).toMatchObject({ code: 'ACQUIRE_TIMEOUT', details: { waitedMs: 30_000 } });
    expect(owners.holdCount()).toBe(1);
    const tried = await now(one.acquireAll({ ids }, context()).catch((error: unknown) => error));
    expect(tried).toMatchObject({ code: 'LOCK_HELD' });
    await time.runBy(10);
    expect(owners.holdCount()).toBe(1);
  });
});

describe('a :hold stream', () => {
  async function collect(events: AsyncIterable<HoldEvent>, into: HoldEvent[]): Promise<void> {
    for await (const event of events) into.push(event);
  }

  test('lives through queue, grant, minutes of pings, and gives the lock back when its listener goes', async () => {
    const { time, owners, open, context, now } = setup();
    const [one, two] = [open(1), open(2)];
    const { fencingToken } = await now(two.acquire('pool/a', { ttlMs: 8_000 }, context()));
    const controller = new AbortController();
    const events: HoldEvent[] = [];
    void watch(collect(one.hold('pool/a', { timeoutMs: -1, ttlMs: 6_000 }, context(controller.signal)), events));
    await time.runBy(2_000);
    expect(events).toEqual([{ event: 'queued', position: 1 }]);
    await now(two.release('pool/a', { fencingToken }, context()));
    await time.runBy(121_000);
    expect(events.map(({ event }) => event)).toEqual([
      'queued',
      'granted',
      ...Array.from({ length: 24 }, () => 'ping'),
    ]);
    expect(Math.min(...events.flatMap((event) => (event.event === 'ping' ? [event.validForMs] : [])))).toBeGreaterThan(
      3_500,
    );
    expect(owners.inspect('team/pool/a').holders[0]?.token).toBe(2);
    controller.abort();
    await time.runBy(0);
    expect(owners.holdCount()).toBe(0);
    expect(events.at(-1)).toMatchObject({ event: 'lost', code: 'UNAVAILABLE' });
    expect((await now(two.acquire('pool/a', {}, context()))).fencingToken).toBe('3');
  });

  test('hears of a forced release', async () => {
    const { time, open, context, now } = setup();
    const [one, two] = [open(1), open(2)];
    const events: HoldEvent[] = [];
    void watch(collect(one.hold('migrations', {}, context()), events));
    await time.runBy(100);
    expect(await now(two.forceRelease('migrations', { reason: 'stuck' }, context()))).toEqual({ released: 1 });
    await time.runBy(0);
    expect(events.at(-1)).toMatchObject({ event: 'lost', code: 'NOT_HELD', details: { reason: 'forceReleased' } });
  });

  test('ends at maxHoldMs, and the lock is free at once', async () => {
    const { time, owners, open, context } = setup();
    const events: HoldEvent[] = [];
    void watch(collect(open(1).hold('pool/a', { ttlMs: 6_000, maxHoldMs: 20_000 }, context()), events));
    await time.runTo(19_500);
    expect(events.at(-1)?.event).toBe('ping');
    await time.runTo(20_000);
    expect(events.at(-1)).toMatchObject({ event: 'lost', code: 'NOT_HELD', details: { reason: 'maxHold' } });
    expect(owners.holdCount()).toBe(0);
  });

  test('an unknown lock rejects the first event', async () => {
    const { open, context, now } = setup();
    const events = open(1).hold('unknown', {}, context())[Symbol.asyncIterator]();
    await expect(now(events.next())).rejects.toMatchObject({ code: 'LOCK_NOT_FOUND' });
  });
});

describe('a change of the owner', () => {
  test('crash: holds are declared, the grace ends early, waiters are served with tokens that only grew', async () => {
    const { time, owners, open, context, now } = setup();
    const [one, two] = [open(1), open(2)];
    const hold = await now(one.acquire('pool/a', { autoRenew: true, maxHoldMs: 600_000, ttlMs: 10_000 }, context()));
    const waiting = watch(two.acquire('pool/a', { timeoutMs: -1 }, context()));
    const elsewhere = watch(two.acquire('pool/a2', { timeoutMs: -1 }, context()));
    await time.runBy(4_000);
    owners.crash('team/pool/a');
    await time.runBy(20_000);
    expect(waiting).toEqual({});
    expect(elsewhere.value).toBeDefined();
    expect((await now(one.held('pool/a', hold.fencingToken, undefined, context()))).validForMs).toBeGreaterThan(5_000);
    await now(one.release('pool/a', { fencingToken: hold.fencingToken }, context()));
    await time.runBy(0);
    expect(Number(waiting.value?.fencingToken)).toBeGreaterThan(1_000_000);
  });

  test('a grant of the dead owner that arrives late is not used', async () => {
    const { time, owners, open, context, now } = setup();
    const [one, two] = [open(1), open(2)];
    // Both sessions are on record, so that the grace ends as soon as both have declared all they know.
    for (const locks of [one, two]) {
      const { fencingToken } = await now(locks.acquire('pool/a', { ttlMs: 60_000 }, context()));
      await now(locks.release('pool/a', { fencingToken }, context()));
    }
    owners.downMs = 5_000;
    const late = watch(one.acquire('pool/a', { ttlMs: 60_000 }, context()));
    await time.runBy(100);
    owners.downMs = 0;
    owners.crash('team/pool/a');
    await time.runBy(100);
    const next = watch(two.acquire('pool/a', { ttlMs: 60_000 }, context()));
    await time.runBy(10_000);
    const winners = [late, next].filter(({ value }) => value !== undefined);
    expect(winners).toHaveLength(1);
    const [winner] = winners;
    expect(winner?.value?.fencingToken).toBe(String(owners.inspect('team/pool/a').holders[0]?.token));
  });

  test('hand-over: a waiter keeps its place, a grant that was on its way is handed on once', async () => {
    const { time, owners, open, context, now } = setup();
    const [one, two, three] = [open(1), open(2), open(3)];
    const first = await now(one.acquire('pool/a', { ttlMs: 60_000 }, context()));
    const second = watch(two.acquire('pool/a', { timeoutMs: -1 }, context()));
    await time.runBy(1_000);
    const third = watch(three.acquire('pool/a', { timeoutMs: -1 }, context()));
    await time.runBy(1_000);
    owners.handOver('team/pool/a');
    await time.runBy(1_000);
    owners.downMs = 500;
    void watch(one.release('pool/a', { fencingToken: first.fencingToken }, context()));
    await time.runBy(100);
    owners.downMs = 0;
    owners.handOver('team/pool/a');
    await time.runBy(1_000);
    expect(second.value?.depth).toBe(1);
    expect(third).toEqual({});
    expect(owners.inspect('team/pool/a').holders.map(({ token }) => String(token))).toEqual([
      second.value?.fencingToken,
    ]);
    await now(two.release('pool/a', { fencingToken: second.value?.fencingToken ?? '' }, context()));
    await time.runBy(0);
    expect(third.value).toBeDefined();
  });

  test('a release under way when the owner of a durable lock dies frees the lock', async () => {
    const { time, owners, open, context } = setup();
    const one = open(1);
    owners.upMs = 20;
    const hold = watch(one.acquire('migrations', {}, context()));
    await time.runBy(50);
    const released = watch(one.release('migrations', { fencingToken: hold.value?.fencingToken ?? '' }, context()));
    await time.runBy(0);
    owners.cut = true;
    await time.runBy(20);
    owners.cut = false;
    owners.crash('team/migrations');
    await time.runBy(100);
    expect(released.value).toEqual({ released: true, depth: 0 });
    expect(owners.holdCount()).toBe(0);
  });
});

describe('a restart of this process', () => {
  test('what was saved is held again before the grace is over, what was released is not', async () => {
    const { time, owners, open, context, now } = setup();
    const before = open(1);
    const kept = await now(before.acquire('pool/a', { ownerId: 'app', ttlMs: 30_000 }, context()));
    await now(before.acquire('pool/a', { ownerId: 'app' }, context()));
    const durable = await now(before.acquire('migrations', { ownerId: 'app', ttlMs: 30_000 }, context()));
    const gone = await now(before.acquire('pool/b', {}, context()));
    await now(before.release('pool/b', { fencingToken: gone.fencingToken }, context()));
    const saved = JSON.parse(JSON.stringify(before.save()));
    expect(saved).toHaveLength(2);
    before.close('lost');
    await time.runBy(100);
    owners.crash('team/pool/a');
    owners.crash('team/migrations');

    const after = open(1, true);
    const rival = open(2);
    const taking = watch(rival.acquire('pool/a', { timeoutMs: -1 }, context()));
    await time.runBy(2_000);
    expect(taking).toEqual({});
    const restored = watch(after.restore(saved));
    await time.runBy(0);
    expect(restored.value).toEqual({ restored: 2, refused: 0 });
    expect((await now(after.held('pool/a', kept.fencingToken, undefined, context()))).held).toBe(true);
    expect((await now(after.renew('migrations', { fencingToken: durable.fencingToken }, context()))).ownerId).toBe(
      'app',
    );
    expect((await now(after.release('pool/a', { fencingToken: kept.fencingToken }, context()))).depth).toBe(1);
    await time.runBy(100);
    expect(taking).toEqual({});
    expect((await now(after.release('pool/a', { fencingToken: kept.fencingToken }, context()))).released).toBe(true);
    await time.runBy(100);
    expect(Number(taking.value?.fencingToken)).toBeGreaterThan(Number(kept.fencingToken));
  });

  test('without a crash of the owner the holds go on where they were', async () => {
    const { time, owners, open, context, now } = setup();
    const before = open(1);
    const { fencingToken } = await now(before.acquire('pool/a', { ttlMs: 30_000 }, context()));
    const saved = before.save();
    before.close('lost');
    await time.runBy(5_000);
    const after = open(1, true);
    await now(after.restore(saved));
    expect((await now(after.held('pool/a', fencingToken, undefined, context()))).validForMs).toBeLessThan(25_000);
    await now(after.release('pool/a', { fencingToken }, context()));
    expect(owners.holdCount()).toBe(0);
  });
});

test('list and inspect show what the owners know', async () => {
  const { open, context, now } = setup();
  const locks = open(1);
  await now(Promise.all(['pool/a', 'pool/b', 'pool/c'].map((lockId) => locks.acquire(lockId, {}, context()))));
  const first = await now(
    locks.list({ prefix: 'pool/', limit: 2, continue: undefined, namespace: undefined }, context()),
  );
  const second = await now(
    locks.list({ prefix: 'pool/', limit: 2, continue: first.continue, namespace: undefined }, context()),
  );
  expect([...first.items, ...second.items].map(({ lockId, held }) => [lockId, held])).toEqual([
    ['pool/a', true],
    ['pool/b', true],
    ['pool/c', true],
  ]);
  expect((await now(locks.inspect('pool/a', undefined, context()))).holders[0]?.principal).toBe('pod-1');
});
