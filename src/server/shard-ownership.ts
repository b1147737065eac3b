import type { PersistedCommand } from '../engine/commands.ts';
import type { RegressedEffect } from '../engine/effects.ts';
import { ShardEngine } from '../engine/engine.ts';
import type { LeaseStore } from '../kube/lease-store.ts';
import type { Clock } from '../system/clock.ts';
import type { Log } from '../system/logger.ts';
import type { Random } from '../system/random.ts';
import type { Timers } from '../system/timers.ts';
import { lockCounterFloor } from './counters.ts';
import { LeaseWriter } from './lease-writer.ts';
import { Member } from './member.ts';
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

const NO_MEMORY: ShardMemory = { epoch: 0, lastToken: 0, graceMs: 0, restored: false };
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
  /** Counters of DistributedLocks as spent by earlier lives of this process. */
  readonly #seenCounters = new Map<string, number>();
  readonly #deadIncarnations = new Set<string>();
  #member: Member | undefined;
  /** Never rejects. */
  #rejoining: Promise<void> | undefined;
  #stopped = false;

  constructor(options: ShardOwnershipOptions) {
    this.#options = options;
    this.#takeover = {
      ...options,
      isKnownDead: (incarnation) => this.#deadIncarnations.has(incarnation) || options.isKnownDead(incarnation),
    };
    this.#writer = new LeaseWriter({ ...options, observe: options.observeWrite });
    this.#drivers = Array.from({ length: options.shardCount }, () => undefined);
    this.#memories = Array.from({ length: options.shardCount }, () => NO_MEMORY);
  }

  async start(): Promise<void> {
    await agreeOnLayout(this.#takeover, this.#options.shardCount);
    await this.#join();
    // The authority may have been lost on the way; then the next incarnation is at it.
    await this.#rejoining;
  }

  driver(shard: number): ShardDriver | undefined {
    return this.#drivers[shard];
  }

  drivers(): ShardDriver[] {
    return this.#drivers.filter((driver) => driver !== undefined);
  }

  /** Lowest counter for a lock without a better record: the wall clock, or what this process remembers. */
  counterFloor(key: string): number {
    return Math.max(lockCounterFloor(this.#options.clock.wallMs()), (this.#seenCounters.get(key) ?? 0) + 1);
  }

  notReadyReason(): string | undefined {
    if (this.#member === undefined || this.#member.authority() === 'lost')
      return 'this process has no authority over any shard at present';
    const missing = this.#drivers.filter((driver) => driver === undefined).length;
    return missing === 0 ? undefined : `${missing} of ${this.#drivers.length} shards are being taken over`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    // Releases that were acknowledged are written, so that the successor need not wait for them to run out.
    for (let rounds = 0; rounds < 10 && this.drivers().some((driver) => !driver.engine.isDrained); rounds++) {
      await this.#writer.whenIdle();
    }
    for (const driver of this.drivers()) driver.drop();
    await this.#member?.[Symbol.asyncDispose]();
  }

  async #join(): Promise<void> {
    const member = await Member.join(this.#options);
    this.#member = member;
    member.onLost = () => this.#memberLost(member);
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
    const locks = await readLocks(this.#takeover, this.#options.shardCount);
    if (!this.#isCurrent(member)) return;
    for (const { start, lease } of taken) {
      const driver: ShardDriver = new ShardDriver({
        ...this.#options,
        // The grace, too, begins when reclaims can come.
        engine: new ShardEngine({ ...start, nowMs: this.#options.clock.monotonicMs() }),
        lease,
        member,
        writer: this.#writer,
        onLost: (lost, why) => this.#shardLost(lost, why),
        onBroken: (error) => this.#options.onFatal(error),
      });
      this.#adopt(driver, locks[start.shard] as FoundLock[]);
      this.#drivers[start.shard] = driver;
      this.#options.onOwned(start.shard, driver);
    }
  }

  /** `undefined` once the member is not this process's life any more: its successor is at the same shards then. */
  #win(member: Member, shard: number): Promise<TakenShard | undefined> {
    const memory = this.#memories[shard] as ShardMemory;
    return takeOverShard(this.#takeover, shard, member.incarnation, memory, () => this.#isCurrent(member));
  }

  #isCurrent(member: Member): boolean {
    return !this.#stopped && this.#member === member && member.authority() !== 'lost';
  }

  #adopt(driver: ShardDriver, locks: readonly FoundLock[]): void {
    for (const { stored, carry } of locks) {
      this.#writer.noteLockLease(stored.record.key, carry);
      driver.submit({ kind: 'adopt', stored, counterFloor: this.counterFloor(stored.record.key) });
    }
  }

  /** The whole incarnation is over. What it acknowledged stands on record; what it granted from memory is reclaimed. */
  #memberLost(member: Member): void {
    if (this.#member !== member) return;
    this.#member = undefined;
    this.#deadIncarnations.add(member.incarnation);
    for (const driver of this.drivers()) {
      this.#remember(driver, false);
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
    const { engine } = driver;
    for (const [key, counter] of engine.counters())
      this.#seenCounters.set(key, Math.max(counter, this.#seenCounters.get(key) ?? 0));
    const before = this.#memories[engine.shard] as ShardMemory;
    this.#memories[engine.shard] = {
      epoch: Math.max(before.epoch, engine.epoch),
      lastToken: Math.max(before.lastToken, engine.lastMemoryToken),
      graceMs: engine.graceMs,
      restored,
    };
  }
}
