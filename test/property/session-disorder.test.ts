/**
 * Goal: whatever the order of things, nobody is told that it holds what somebody else holds, and nothing stays behind.
 * Method: several sessions on real engines do random things to few locks, while messages take random times and overtake each
 * other, callers leave, and owners die or hand over. Every few milliseconds all sessions are asked what they hold. A failure
 * prints its seed.
 */
import { expect, test } from '@jest/globals';
import type { Hold } from '../../src/api/responses.ts';
import type { LocalLocks } from '../../src/sidecar/session/local-locks.ts';
import { type Random, seededRandom } from '../../src/system/random.ts';
import { VirtualTime } from '../../src/system/virtual.ts';
import { EngineShards } from '../unit/sidecar/session/engine-shards.ts';
import { contextAt, openOn } from '../unit/sidecar/session/setup.ts';

const SESSIONS = 3;
const LOCKS = ['pool/a', 'pool/b', 'migrations'];
const RUN_MS = 20_000;
const LOOK_EVERY_MS = 20;

interface Granted {
  readonly session: number;
  readonly lockId: string;
  readonly fencingToken: string;
}

class Disorder {
  readonly time = new VirtualTime();
  readonly owners = new EngineShards(this.time);
  readonly sessions: LocalLocks[] = [];
  /** What was granted or renewed, as long as it is held. */
  granted: Granted[] = [];
  readonly overlaps: string[] = [];
  readonly surprises: string[] = [];
  readonly counts = { granted: 0, refused: 0, ownerChanges: 0 };
  readonly #random: Random;
  #open = true;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
    for (let index = 0; index < SESSIONS; index++)
      this.sessions.push(
        openOn(this.time, { openTransport: this.owners.connect(index + 1), random: seededRandom(seed * 100 + index) }),
      );
    this.owners.upMs = () => this.#random.integer(30);
    this.owners.downMs = () =>
      this.#random.integer(12) === 0 ? this.#random.integer(4_000) : this.#random.integer(30);
  }

  async run(): Promise<void> {
    for (let session = 0; session < SESSIONS; session++) {
      for (let thread = 0; thread < 3; thread++) void this.#thread(session, thread);
      void this.#severalAtOnce(session);
      void this.#listen(session);
    }
    void this.#changeOwners();
    while (this.time.monotonicMs() < RUN_MS) {
      await this.time.runBy(LOOK_EVERY_MS);
      await this.#look();
    }
    this.#open = false;
    this.owners.upMs = 1;
    this.owners.downMs = 1;
    // A place in a queue that was handed over and is not asked for again is kept for a minute.
    await this.time.runBy(90_000);
  }

  /** Few owners, so that threads of one session re-enter each other's holds. */
  async #thread(session: number, thread: number): Promise<void> {
    const locks = this.sessions[session] as LocalLocks;
    while (this.#open) {
      await this.#pause(200);
      const lockId = this.#pick(LOCKS);
      const controller = new AbortController();
      if (this.#random.integer(6) === 0) this.time.after(this.#random.integer(200), () => controller.abort());
      try {
        const hold = await locks.acquire(
          lockId,
          {
            ...(thread > 0 && { ownerId: `owner-${session}` }),
            timeoutMs: this.#pick([0, 300, -1]),
            ttlMs: this.#pick([1_500, 5_000]),
            ...(this.#random.integer(3) === 0 && { autoRenew: true, maxHoldMs: 8_000 }),
          },
          contextAt(this.time, controller.signal),
        );
        this.counts.granted++;
        this.granted.push({ session, lockId, fencingToken: hold.fencingToken });
        await this.#use(session, hold);
      } catch (error) {
        this.counts.refused++;
        this.#expectCode(error);
      }
    }
  }

  async #use(session: number, { lockId, fencingToken }: Hold): Promise<void> {
    const locks = this.sessions[session] as LocalLocks;
    await this.#pause(400);
    if (this.#random.integer(3) === 0) {
      await locks
        .renew(lockId, { fencingToken, ttlMs: 3_000 }, contextAt(this.time))
        .catch((error: unknown) => this.#expectCode(error));
      this.granted.push({ session, lockId, fencingToken });
      await this.#pause(400);
    }
    if (this.#random.integer(12) !== 0) await locks.release(lockId, { fencingToken }, contextAt(this.time));
  }

  async #severalAtOnce(session: number): Promise<void> {
    const locks = this.sessions[session] as LocalLocks;
    while (this.#open) {
      await this.#pause(2_000);
      const ids = LOCKS.filter(() => this.#random.integer(3) > 0);
      if (ids.length === 0) continue;
      const request = { ids, ttlMs: 2_000, timeoutMs: this.#pick([0, 1_000, -1]) };
      try {
        const { holds } = await locks.acquireAll(request, contextAt(this.time));
        this.counts.granted++;
        this.granted.push(...holds.map(({ lockId, fencingToken }) => ({ session, lockId, fencingToken })));
        await this.#pause(500);
        await locks.releaseAll(
          { holds: holds.map(({ lockId, fencingToken }) => ({ lockId, fencingToken })) },
          contextAt(this.time),
        );
      } catch (error) {
        this.#expectCode(error);
      }
    }
  }

  async #listen(session: number): Promise<void> {
    const locks = this.sessions[session] as LocalLocks;
    while (this.#open) {
      await this.#pause(2_000);
      const controller = new AbortController();
      this.time.after(this.#random.integer(3_000), () => controller.abort());
      const lockId = this.#pick(LOCKS);
      const request = { ttlMs: 1_500, timeoutMs: this.#pick([300, -1]), maxHoldMs: 2_000 };
      try {
        for await (const event of locks.hold(lockId, request, contextAt(this.time, controller.signal)))
          if (event.event === 'granted') this.granted.push({ session, lockId, fencingToken: event.hold.fencingToken });
      } catch (error) {
        this.#expectCode(error);
      }
    }
  }

  async #changeOwners(): Promise<void> {
    while (this.#open) {
      await this.#pause(5_000);
      this.counts.ownerChanges++;
      const key = `team/${this.#pick(LOCKS)}`;
      if (this.#random.integer(2) === 0) this.owners.crash(key);
      else this.owners.handOver(key);
    }
  }

  /** All sessions at once: of one lock at most one token may be held. */
  async #look(): Promise<void> {
    const context = contextAt(this.time);
    const holding = await Promise.all(
      this.granted.map(async (one) => {
        const locks = this.sessions[one.session] as LocalLocks;
        const held = await locks.held(one.lockId, one.fencingToken, undefined, context).catch(() => undefined);
        return held === undefined ? [] : [one];
      }),
    );
    const valid = holding.flat();
    for (const lockId of LOCKS) {
      const tokens = new Set(valid.filter((one) => one.lockId === lockId).map(({ fencingToken }) => fencingToken));
      if (tokens.size > 1) this.overlaps.push(`${lockId} at ${context.receivedAtMs} ms: ${[...tokens].join(' and ')}`);
    }
    this.granted = valid;
  }

  #expectCode(error: unknown): void {
    const code = (error as { code?: string }).code ?? String(error);
    if (!['LOCK_HELD', 'ACQUIRE_TIMEOUT', 'UNAVAILABLE', 'NOT_HELD'].includes(code)) this.surprises.push(code);
  }

  #pause(atMostMs: number): Promise<void> {
    return new Promise((resolve) => this.time.after(1 + this.#random.integer(atMostMs), resolve));
  }

  #pick<Item>(items: readonly Item[]): Item {
    return items[this.#random.integer(items.length)] as Item;
  }
}

test.each(Array.from({ length: 8 }, (_, index) => index + 1))(
  'seed %d',
  async (seed) => {
    const disorder = new Disorder(seed);
    await disorder.run();
    expect(disorder.overlaps).toEqual([]);
    expect(disorder.surprises).toEqual([]);
    expect(disorder.counts.granted).toBeGreaterThan(25);
    expect(disorder.counts.ownerChanges).toBeGreaterThan(2);
    // Everybody has stopped, and everything has run out or was given back.
    expect(disorder.owners.holdCount()).toBe(0);
    expect(disorder.sessions.flatMap((locks) => locks.save())).toEqual([]);
    for (const lockId of LOCKS) expect(disorder.owners.inspect(`team/${lockId}`).waiterCount).toBe(0);
  },
  60_000,
);
