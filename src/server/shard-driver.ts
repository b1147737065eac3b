import type { LostPush, Reply } from '../api/operations.ts';
import type { Command } from '../engine/commands.ts';
import type {
  AuditEvent,
  Effect,
  PersistLockEffect,
  PersistShardEffect,
  RarePath,
  RegressedEffect,
} from '../engine/effects.ts';
import type { ShardEngine } from '../engine/engine.ts';
import type { Step } from '../engine/state.ts';
import type { Clock } from '../system/clock.ts';
import type { Timers } from '../system/timers.ts';
import { lostPushOf } from './audit.ts';
import type { OwnedShardLease } from './lease-drift.ts';
import type { LeaseWriter } from './lease-writer.ts';
import type { Member } from './member.ts';

/** Where a shard's driver delivers. None of these may throw, or call back into the driver before they return. */
export interface ShardSink {
  reply(sessionId: number, reply: Reply): void;
  /** A hold of the session ended. Never before a reply that still speaks of it as held. */
  lost(sessionId: number, push: LostPush): void;
  audit(shard: number, event: AuditEvent): void;
  count(metric: RarePath, value: number): void;
}

export interface ShardDriverOptions {
  readonly engine: ShardEngine;
  readonly lease: OwnedShardLease;
  readonly member: Member;
  readonly writer: LeaseWriter;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly sink: ShardSink;
  /** The shard's Lease is no longer ours, or a Lease went backwards: the server takes the shard over anew. */
  readonly onLost: (driver: ShardDriver, why: RegressedEffect | 'shardLease') => void;
  /** A write has an outcome, and the engine knows it: of the lock's Lease, or (`undefined`) of the shard's. */
  readonly onWritten: (driver: ShardDriver, key: string | undefined) => void;
  /** An invariant of the engine broke: nothing it says can be trusted any more. */
  readonly onBroken: (error: unknown) => void;
}

/** A wake-up later than this makes the owner renew its authority before it acknowledges anything. */
const STALL_MS = 85;
const CONFIRM_AGAIN_MS = 50;

/**
 * Runs one shard's engine: gives it commands and the time, carries out its effects by the ordering contract, and lets replies
 * out only while the authority is valid at that very moment. While it is in doubt replies wait, in order, for a renewal.
 */
export class ShardDriver {
  readonly #options: ShardDriverOptions;
  readonly #outbox: (() => void)[] = [];
  #timer: Disposable | undefined;
  #wakeAtMs = Number.POSITIVE_INFINITY;
  #confirming = false;
  #dropped = false;

  constructor(options: ShardDriverOptions) {
    this.#options = options;
    this.#arm();
  }

  get engine(): ShardEngine {
    return this.#options.engine;
  }

  /** What is known of the shard's Lease. */
  get lease(): OwnedShardLease {
    return this.#options.lease;
  }

  get isDropped(): boolean {
    return this.#dropped;
  }

  /** Applies a command now. After `drop` it does nothing, and nobody is answered. */
  submit(command: Command): void {
    if (this.#dropped) return;
    let step: Step;
    try {
      step = this.#options.engine.apply(command, this.#options.clock.monotonicMs());
    } catch (error) {
      this.drop();
      this.#options.onBroken(error);
      return;
    }
    for (const effect of step.effects) this.#run(effect);
    if (step.replies.length > 0) this.#answer(step);
    if (step.wakeAtMs < this.#wakeAtMs) this.#arm();
  }

  /** The reign over this shard is over: no further reply leaves, no further command is applied. */
  drop(): void {
    this.#dropped = true;
    this.#outbox.length = 0;
    this.#timer?.[Symbol.dispose]();
  }

  /** The shard's Lease is somebody else's, or went backwards. */
  loseShard(): void {
    this.#lose('shardLease');
  }

  #run(effect: Effect): void {
    const { sink, engine } = this.#options;
    switch (effect.kind) {
      case 'audit':
        sink.audit(engine.shard, effect.event);
        this.#tellLoss(effect.event);
        return;
      case 'count':
        sink.count(effect.metric, effect.value);
        return;
      case 'persistLock':
        void this.#persistLock(effect);
        return;
      case 'persistShard':
        void this.#persistShard(effect);
        return;
      case 'regressed':
        this.#lose(effect);
    }
  }

  #lose(why: RegressedEffect | 'shardLease'): void {
    if (this.#dropped) return;
    this.drop();
    this.#options.onLost(this, why);
  }

  #answer(step: Step): void {
    const { member, sink } = this.#options;
    if (this.#outbox.length === 0 && member.authority() === 'valid') {
      for (const [index, reply] of step.replies.entries()) sink.reply(step.recipients[index] as number, reply);
      return;
    }
    for (const [index, reply] of step.replies.entries()) {
      const sessionId = step.recipients[index] as number;
      this.#outbox.push(() => sink.reply(sessionId, reply));
    }
    void this.#confirm();
  }

  /** Waits behind the replies that wait: one of them may be the grant of the very hold that ended. */
  #tellLoss(event: AuditEvent): void {
    const { engine, sink } = this.#options;
    const push = lostPushOf(event, engine.epoch);
    if (push === undefined || event.type !== 'ended') return;
    const { sessionId } = event;
    if (this.#outbox.length === 0) sink.lost(sessionId, push);
    else this.#outbox.push(() => sink.lost(sessionId, push));
  }

  async #persistLock(effect: PersistLockEffect): Promise<void> {
    this.submit(await this.#options.writer.writeLock(effect));
    this.#options.onWritten(this, effect.record.key);
  }

  async #persistShard(effect: PersistShardEffect): Promise<void> {
    const { writer, engine, lease } = this.#options;
    const { lostShard, drift, ...outcome } = await writer.writeShard(engine.shard, effect, lease);
    if (lostShard) {
      this.loseShard();
      return;
    }
    if (drift?.kind === 'repair') this.submit({ kind: 'shardLeaseSeen', change: drift.change, text: drift.text });
    this.submit(outcome);
    this.#options.onWritten(this, undefined);
  }

  /** Renews the authority, as often as it takes to be sure or to have lost it, and then lets the waiting replies out. */
  async #confirm(): Promise<void> {
    const { member, timers } = this.#options;
    if (this.#confirming) return;
    this.#confirming = true;
    for (;;) {
      await member.confirm();
      if (this.#dropped || member.authority() !== 'unsure') break;
      await new Promise<void>((resolve) => timers.after(CONFIRM_AGAIN_MS, resolve));
    }
    this.#confirming = false;
    if (this.#dropped || member.authority() === 'lost') return;
    for (const tell of this.#outbox.splice(0)) tell();
  }

  #arm(): void {
    this.#timer?.[Symbol.dispose]();
    this.#wakeAtMs = this.#options.engine.wakeAtMs;
    if (this.#wakeAtMs === Number.POSITIVE_INFINITY) return;
    const { clock, timers } = this.#options;
    this.#timer = timers.after(Math.max(0, this.#wakeAtMs - clock.monotonicMs()), () => this.#wake());
  }

  /** Measured at once, run after one poll of the sockets: a renewal that lies in a receive buffer is processed first. */
  #wake(): void {
    const { clock, timers, member } = this.#options;
    const lateMs = Math.max(0, clock.monotonicMs() - this.#wakeAtMs);
    if (lateMs > STALL_MS) member.doubt();
    this.#timer = timers.soon(() => {
      this.#wakeAtMs = Number.POSITIVE_INFINITY;
      this.submit({ kind: 'tick', lateMs });
      if (!this.#dropped && this.#wakeAtMs === Number.POSITIVE_INFINITY) this.#arm();
    });
  }
}
