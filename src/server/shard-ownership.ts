import { shardOf } from '../api/shard-hash.ts';
import type { PersistedCommand } from '../engine/commands.ts';
import type { RegressedEffect } from '../engine/effects.ts';
import { ShardEngine } from '../engine/engine.ts';
import type { LeaseStore } from '../kube/lease-store.ts';
import type { Clock } from '../system/clock.ts';
import type { Log } from '../system/logger.ts';
import type { Random } from '../system/random.ts';
import type { Timers } from '../system/timers.ts';
import { lockCounterFloor } from './counters.ts';
import { LeaseGuard } from './lease-guard.ts';
import { LeaseWriter } from './lease-writer.ts';
import { collectMembers } from './fence-member.ts';
import { LockMemory } from './lock-memory.ts';
import { Member, MEMBER_LEASE_DURATION_MS } from './member.ts';
import { patiently } from './patience.ts';
import { ShardDriver, type ShardSink } from './shard-driver.ts';
import {
  agreeOnLayout,
  type FoundLock,
  readLocks,
  type ShardMemory,
  type TakenShard,
  takeOverShard,
  type TakeoverOptions,
} from './takeover.ts';

export interface ShardOwnershipOptions {
  readonly store: LeaseStore;
  /** For the Leases of members, shards and their layout: a way to the API server that lock traffic cannot starve. */
  readonly authorityStore: LeaseStore;
  readonly namespace: string;
  readonly podName: string;
  readonly shardCount: number;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly log: Log;
  readonly isKnownDead: (incarnation: string) => boolean;
  readonly observeWrite: (outcome: PersistedCommand['outcome'], seconds: number) => void;
  readonly sink: ShardSink;
  /** A shard has been taken and serves: configure it, open its sessions. */
  readonly onOwned: (shard: number, driver: ShardDriver) => void;
  readonly onFatal: (error: unknown) => void;
}

const NO_MEMORY: ShardMemory = {
  epoch: 0,
  lastToken: 0,
  graceMs: 0,
  slots: [],
  slotsOverflow: false,
  revocations: [],
  attempts: [],
  restored: false,
};
const TAKEOVERS_AT_ONCE = 8;
const REJOIN_AFTER_MS = 500;

/**
 * Which shards this process owns, and how it comes to. It takes all of them: at the start, after its authority lapsed (with a
 * fresh incarnation), and a single one anew if its Lease was changed under it.
 */
export class ShardOwnership implements AsyncDisposable {
  readonly #options: ShardOwnershipOptions;
  readonly #takeover: TakeoverOptions;
  readonly #writer: LeaseWriter;
  readonly #drivers: (ShardDriver | undefined)[];
  readonly #memories: ShardMemory[];
  readonly #lockMemory = new LockMemory();
  readonly #guard: LeaseGuard;
  readonly #deadIncarnations = new Set<string>();
  #member: Member | undefined;
  /** Never rejects. */
  #rejoining: Promise<void> | undefined;
  #isNewInstallation = false;
  /** The owner that the present take-over waited for last. */
  #awaited: string | undefined;
  #stopped = false;

  constructor(options: ShardOwnershipOptions) {
    this.#options = options;
    this.#takeover = {
      ...options,
      store: options.authorityStore,
      isKnownDead: (incarnation) => this.#deadIncarnations.has(incarnation) || options.isKnownDead(incarnation),
      isNewInstallation: () => this.#isNewInstallation,
      onWaiting: (incarnation) => {
        this.#awaited = incarnation;
      },
      // Its other shards need no second look, which for one whose Lease is missing would be another wait.
      onFenced: (incarnation) => {
        this.#awaited = undefined;
        this.#deadIncarnations.add(incarnation);
      },
    };
    this.#writer = new LeaseWriter({ ...options, observe: options.observeWrite });
    this.#guard = new LeaseGuard({
      ...options,
      writer: this.#writer,
      driver: (shard) => this.#drivers[shard],
      drivers: () => this.drivers(),
      counterFloor: (key) => this.counterFloor(key),
      audit: (event) => options.sink.audit(0, event),
      onRestored: () => this.#member?.distrust('the store went back to an earlier state'),
    });
    this.#drivers = Array.from({ length: options.shardCount }, () => undefined);
    this.#memories = Array.from({ length: options.shardCount }, () => NO_MEMORY);
  }

  async start(): Promise<void> {
    const isNew = await this.#patiently(
      'agree on the layout of shards',
      () => !this.#stopped,
      () => agreeOnLayout(this.#takeover, this.#options.shardCount),
    );
    if (isNew === undefined) return;
    this.#isNewInstallation = isNew;
    await this.#join();
    // The authority may have been lost on the way; then the next incarnation is at it.
    await this.#rejoining;
    this.#isNewInstallation = false;
    if (!this.#stopped) this.#guard.start();
  }

  driver(shard: number): ShardDriver | undefined {
    return this.#drivers[shard];
  }

  drivers(): ShardDriver[] {
    return this.#drivers.filter((driver) => driver !== undefined);
  }

  /** Lowest counter for a lock without a better record: the wall clock, or what this process remembers. */
  counterFloor(key: string): number {
    return Math.max(lockCounterFloor(this.#options.clock.wallMs()), this.#lockMemory.counterOf(key) + 1);
  }

  /** A lock has rules now: a Lease of that name, seen before, is its. */
  reviewLock(shard: number, key: string): void {
    this.#guard.written(shard, key);
  }

  /** The owner that this process waits for before it owns any shard. */
  get awaitedOwner(): string | undefined {
    return this.#drivers.every((driver) => driver === undefined) ? this.#awaited : undefined;
  }

  notReadyReason(): string | undefined {
    if (this.#member === undefined || this.#member.authority() === 'lost')
      return 'this process has no authority over any shard at present';
    const missing = this.#drivers.filter((driver) => driver === undefined).length;
    const { awaitedOwner } = this;
    if (awaitedOwner !== undefined)
      return `this process stands by: ${awaitedOwner} owns the shards, and has to leave or to be silent for ${MEMBER_LEASE_DURATION_MS / 1_000} s`;
    return missing === 0 ? undefined : `${missing} of ${this.#drivers.length} shards are being taken over`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    this.#guard[Symbol.dispose]();
    // Releases that were acknowledged are written, so that the successor need not wait for them to run out.
    for (let rounds = 0; rounds < 10 && this.drivers().some((driver) => !driver.engine.isDrained); rounds++) {
      await this.#writer.whenIdle();
    }
    for (const driver of this.drivers()) driver.drop();
    await this.#member?.[Symbol.asyncDispose]();
  }

  async #join(): Promise<void> {
    const member = await Member.join({ ...this.#options, store: this.#options.authorityStore });
    this.#member = member;
    member.onLost = (byHand) => this.#memberLost(member, byHand);
    try {
      await this.#take(
        member,
        this.#drivers.map((_, shard) => shard),
      );
    } catch (error) {
      // Its authority was lost meanwhile: the next incarnation is at work, and this failure is of no interest.
      if (this.#member !== member) return;
      this.#member = undefined;
      this.#deadIncarnations.add(member.incarnation);
      await member[Symbol.asyncDispose]();
      throw error;
    }
    if (this.#member !== member) return;
    const { namespace, authorityStore: store, log } = this.#options;
    // No shard names another member now.
    await collectMembers({ namespace, store }).catch((error: unknown) => {
      log.warn({ error }, 'could not delete the leases of members that are gone');
    });
  }

  /**
   * Wins the shards, then reads the locks, then serves: in this order a write that was under way is either seen or barred. The
   * recorded holders' time begins when all serve, so that a long take-over does not use it up.
   */
  async #take(member: Member, shards: readonly number[]): Promise<void> {
    const taken: TakenShard[] = [];
    for (let first = 0; first < shards.length; ) {
      // The first shard alone, before any other: of two replicas that take over at once, only the one that has it goes on, and
      // neither holds a shard that the other waits for.
      const group = shards.slice(first, first === 0 ? 1 : first + TAKEOVERS_AT_ONCE);
      first += group.length;
      const won = await Promise.all(group.map((shard) => this.#win(member, shard)));
      if (!this.#isCurrent(member)) return;
      taken.push(...won.filter((each) => each !== undefined));
    }
    const locks = await this.#patiently(
      'read the Leases of locks',
      () => this.#isCurrent(member),
      () => readLocks(this.#options, this.#options.shardCount),
    );
    if (locks === undefined || !this.#isCurrent(member)) return;
    for (const { start, lease } of taken) {
      const driver: ShardDriver = new ShardDriver({
        ...this.#options,
        // The grace, too, begins when reclaims can come.
        engine: new ShardEngine({ ...start, nowMs: this.#options.clock.monotonicMs() }),
        lease,
        member,
        writer: this.#writer,
        onLost: (lost, why) => this.#shardLost(lost, why),
        onWritten: (_, key) => this.#guard.written(start.shard, key),
        onBroken: (error) => this.#options.onFatal(error),
      });
      this.#adopt(driver, locks[start.shard] as FoundLock[]);
      this.#drivers[start.shard] = driver;
      this.#options.onOwned(start.shard, driver);
    }
    this.#guard.review();
  }

  /** `undefined` once the member is not this process's life any more: its successor is at the same shards then. */
  #win(member: Member, shard: number): Promise<TakenShard | undefined> {
    const memory = this.#memories[shard] as ShardMemory;
    return takeOverShard(this.#takeover, shard, member.incarnation, memory, () => this.#isCurrent(member));
  }

  #patiently<Result>(what: string, isWanted: () => boolean, work: () => Promise<Result>): Promise<Result | undefined> {
    return patiently({ ...this.#options, what, isWanted }, work);
  }

  #isCurrent(member: Member): boolean {
    return !this.#stopped && this.#member === member && member.authority() !== 'lost';
  }

  #adopt(driver: ShardDriver, locks: readonly FoundLock[]): void {
    for (const { stored, carry } of locks) {
      this.#writer.noteLockLease(stored.record.key, carry);
      driver.submit({ kind: 'adopt', stored, counterFloor: this.counterFloor(stored.record.key) });
    }
    const { clock, shardCount } = this.#options;
    const isHere = (key: string) => shardOf(key, shardCount) === driver.engine.shard;
    for (const lock of this.#lockMemory.take(isHere, clock.monotonicMs())) driver.submit({ kind: 'remember', ...lock });
  }

  /** The whole incarnation is over. What it acknowledged stands on record; what it granted from memory is reclaimed. */
  #memberLost(member: Member, byHand: boolean): void {
    if (this.#member !== member) return;
    this.#member = undefined;
    this.#deadIncarnations.add(member.incarnation);
    for (const driver of this.drivers()) {
      this.#remember(driver, byHand);
      driver.drop();
      this.#drivers[driver.engine.shard] = undefined;
    }
    if (!this.#stopped) this.#rejoining = this.#rejoin();
  }

  async #rejoin(): Promise<void> {
    while (!this.#stopped) {
      try {
        await this.#join();
        return;
      } catch (error) {
        this.#options.log.error({ error }, 'could not take the shards over again');
        await new Promise<void>((resolve) => this.#options.timers.after(REJOIN_AFTER_MS, resolve));
      }
    }
  }

  #shardLost(driver: ShardDriver, why: RegressedEffect | 'shardLease'): void {
    const { shard } = driver.engine;
    if (this.#drivers[shard] !== driver) return;
    this.#options.log.error({ shard, why }, 'a lease went backwards or changed its owner; taking the shard over anew');
    this.#remember(driver, true);
    this.#drivers[shard] = undefined;
    const member = this.#member;
    if (member === undefined || this.#stopped) return;
    this.#take(member, [shard]).catch((error: unknown) => {
      this.#options.log.error({ shard, error }, 'could not take a shard over anew');
      this.#options.onFatal(error);
    });
  }

  #remember(driver: ShardDriver, restored: boolean): void {
    const { engine, lease } = driver;
    this.#lockMemory.note(engine.remembered(), this.#options.clock.monotonicMs());
    const last = engine.rememberedShard();
    const before = this.#memories[engine.shard] as ShardMemory;
    this.#memories[engine.shard] = {
      ...last,
      epoch: Math.max(before.epoch, last.epoch),
      lastToken: Math.max(before.lastToken, engine.lastMemoryToken),
      attempts: lease.attempts,
      restored,
    };
  }
}
