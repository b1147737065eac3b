import type { Inspection } from '../../src/api/operations.ts';
import { DEFAULT_LOCK_POLICY, DEFAULT_POOL_POLICY, type LockPolicy } from '../../src/api/policies.ts';
import type { Command, ConfigureCommand } from '../../src/engine/commands.ts';
import type { AuditEvent, PersistLockEffect, PersistShardEffect, RarePath } from '../../src/engine/effects.ts';
import { ShardEngine } from '../../src/engine/engine.ts';
import type { LockRecord, ShardRecord, ShardSnapshot, StoredLockRecord } from '../../src/engine/records.ts';
import { TestSession } from './engine-session.ts';

const NEW_SHARD: ShardRecord = {
  epoch: 1,
  counter: 0,
  graceMs: 0,
  slots: [],
  slotsOverflow: false,
  revocations: [],
  attempt: 'first takeover',
};

/**
 * One shard's engine with sessions and a store, in virtual time. Writes are compared and swapped on the store and answered at
 * once, or by the test if `writesWait`. The engine's books are checked after every command.
 */
export class EngineHarness {
  engine: ShardEngine;
  nowMs = 0;
  /** Whether a write waits until the test says what becomes of it. */
  writesWait = false;
  /** Writes that wait, the oldest first. */
  readonly writes: TestWrite[] = [];
  /** Writes of owners that are gone: any of them may still reach the store. */
  readonly adrift: TestWrite[] = [];
  readonly leases = new Map<string, StoredLockRecord>();
  shardRecord: ShardRecord;
  shardVersion = 0;
  readonly events: AuditEvent[] = [];
  /** Every persist effect so far. */
  readonly persisted: (PersistLockEffect | PersistShardEffect)[] = [];
  /** Set once the engine found a Lease that went backwards. */
  regressedKey: string | undefined;
  readonly #counts = new Map<RarePath, number>();
  readonly #sessions: TestSession[] = [];
  readonly #configured = new Map<string, ConfigureCommand>();
  readonly #tokenBlock: number;
  #version = 0;
  #incarnation = 1;

  constructor(options: { readonly tokenBlock?: number; readonly record?: Partial<ShardRecord> } = {}) {
    this.#tokenBlock = options.tokenBlock ?? 1_000;
    this.shardRecord = { ...NEW_SHARD, counter: this.#tokenBlock, ...options.record };
    this.engine = this.#start(1, this.shardRecord.graceMs, true);
  }

  /** Sets the rules of a LockPool in namespace `ns`. */
  pool(name: string, policy: Partial<LockPolicy> = {}): void {
    this.#configure('pool', `ns/${name}`, { ...DEFAULT_POOL_POLICY, ...policy });
  }

  /** Sets the rules of a DistributedLock in namespace `ns`. */
  lock(name: string, policy: Partial<LockPolicy> = {}): void {
    this.#configure('lock', `ns/${name}`, { ...DEFAULT_LOCK_POLICY, ...policy });
  }

  /** Deletes the custom resource. */
  deletes(resource: 'lock' | 'pool', name: string): void {
    this.#configure(resource, `ns/${name}`, undefined);
  }

  /** A session of pod `principal` that is connected, in this process unless `remote`. */
  session(
    name: string,
    options: { readonly principal?: string; readonly remote?: boolean; readonly slot?: number } = {},
  ) {
    const id = this.#sessions.length + 1;
    const session = new TestSession(this, id, name, {
      principal: options.principal ?? `pod-${name}`,
      slot: options.slot ?? id,
      inProcess: options.remote !== true,
    });
    this.#sessions.push(session);
    session.connects();
    return session;
  }

  apply(command: Command): void {
    const step = this.engine.apply(command, this.nowMs);
    this.engine.checkInvariants();
    for (const [index, reply] of step.replies.entries())
      this.#sessions[(step.recipients[index] as number) - 1]?.receives(reply);
    for (const effect of step.effects) {
      if (effect.kind === 'audit') this.events.push(effect.event);
      else if (effect.kind === 'count')
        this.#counts.set(effect.metric, (this.#counts.get(effect.metric) ?? 0) + effect.value);
      else if (effect.kind === 'regressed') this.regressedKey = effect.key;
      else this.#write(effect);
    }
  }

  /** Lets time pass, with every tick at the moment that was asked for. */
  passes(durationMs: number): void {
    const endMs = this.nowMs + durationMs;
    for (let wakeAtMs = this.engine.wakeAtMs; wakeAtMs <= endMs; wakeAtMs = this.engine.wakeAtMs) {
      this.nowMs = Math.max(this.nowMs, wakeAtMs);
      this.apply({ kind: 'tick', lateMs: 0 });
    }
    this.nowMs = endMs;
  }

  /** Time passes without a tick, as while the process is paused; the tick comes by `ticksLate`. */
  stalls(durationMs: number): void {
    this.nowMs += durationMs;
  }

  /** The tick after a stall. */
  ticksLate(): void {
    this.apply({ kind: 'tick', lateMs: Math.max(0, this.nowMs - this.engine.wakeAtMs) });
  }

  inspect(lockId: string): Inspection {
    const inspection = this.engine.inspect(`ns/${lockId}`, this.nowMs);
    if (inspection === undefined) throw new Error(`${lockId} is not known`);
    return inspection;
  }

  /** Owners that hold the lock, in order of grant. */
  holders(lockId: string): string[] {
    return this.inspect(lockId).holders.map((holder) => holder.ownerId);
  }

  eventsOf<Type extends AuditEvent['type']>(type: Type): Extract<AuditEvent, { type: Type }>[] {
    return this.events.filter((event): event is Extract<AuditEvent, { type: Type }> => event.type === type);
  }

  count(metric: RarePath): number {
    return this.#counts.get(metric) ?? 0;
  }

  /** The oldest write that waits, of this lock or (`undefined`) of the shard's record. */
  write(lockId: string | undefined): TestWrite {
    const key = lockId === undefined ? undefined : `ns/${lockId}`;
    const write = this.writes.find((waiting) => waiting.key === key);
    if (write === undefined) throw new Error(`no write of ${lockId ?? 'the shard'} waits`);
    return write;
  }

  lease(lockId: string): LockRecord {
    const stored = this.leases.get(`ns/${lockId}`);
    if (stored === undefined) throw new Error(`${lockId} has no lease`);
    return stored.record;
  }

  /** Somebody else writes the lock's Lease. */
  edits(lockId: string, change: Partial<LockRecord>): void {
    const key = `ns/${lockId}`;
    this.leases.set(key, { record: { ...this.lease(lockId), ...change }, version: this.nextVersion() });
  }

  /**
   * A new owner starts from what the store says, as after a crash; sessions must connect again. Writes that wait go nowhere.
   * `graceMayEndEarly` false: the record was restored.
   */
  crashes(graceMayEndEarly = true): void {
    this.adrift.push(...this.writes.splice(0));
    this.#incarnation++;
    this.shardVersion++;
    const before = this.shardRecord;
    const epoch = before.epoch + 1;
    const counter = before.counter + this.#tokenBlock;
    this.shardRecord = { ...before, epoch, counter, attempt: `takeover ${epoch}` };
    this.engine = this.#start(before.counter + 1, before.graceMs, graceMayEndEarly);
    for (const stored of this.leases.values()) this.apply({ kind: 'adopt', stored, counterFloor: 0 });
    for (const command of this.#configured.values()) this.apply(command);
  }

  /** A planned hand-over to a new owner, committed. Sessions must connect again. */
  handsOver(): ShardSnapshot {
    this.apply({ kind: 'freeze' });
    const snapshot = this.engine.exportSnapshot(this.nowMs);
    const epoch = this.shardRecord.epoch + 1;
    const tokenNext = this.shardRecord.counter + 1;
    const counter = this.shardRecord.counter + this.#tokenBlock;
    this.shardRecord = { ...this.shardRecord, epoch, counter, attempt: `hand-over ${epoch}` };
    this.#incarnation++;
    this.shardVersion++;
    this.engine = this.#start(tokenNext, 0, true);
    for (const command of this.#configured.values()) this.apply(command);
    this.apply({ kind: 'import', snapshot: JSON.parse(JSON.stringify(snapshot)) as ShardSnapshot });
    return snapshot;
  }

  nextVersion(): string {
    return String(++this.#version);
  }

  #start(tokenNext: number, graceRemainingMs: number, graceMayEndEarly: boolean): ShardEngine {
    return new ShardEngine({
      shard: 0,
      incarnation: `owner-${this.#incarnation}`,
      record: this.shardRecord,
      tokenNext,
      graceRemainingMs,
      graceMayEndEarly,
      tokenBlock: this.#tokenBlock,
      nowMs: this.nowMs,
    });
  }

  #configure(resource: 'lock' | 'pool', name: string, policy: LockPolicy | undefined): void {
    const command: ConfigureCommand = { kind: 'configure', resource, name, policy, counterFloor: 0 };
    this.#configured.set(`${resource} ${name}`, command);
    this.apply(command);
  }

  #write(effect: PersistLockEffect | PersistShardEffect): void {
    const write = new TestWrite(this, effect);
    if (this.writes.some((waiting) => waiting.key === write.key))
      throw new Error(`two writes of ${write.key ?? 'the shard'} in flight`);
    this.persisted.push(effect);
    this.writes.push(write);
    if (!this.writesWait) write.lands();
  }
}

/** A write on its way to the store. */
export class TestWrite {
  readonly effect: PersistLockEffect | PersistShardEffect;
  readonly #world: EngineHarness;
  readonly #shardVersion: number;

  constructor(world: EngineHarness, effect: PersistLockEffect | PersistShardEffect) {
    this.#world = world;
    this.effect = effect;
    this.#shardVersion = world.shardVersion;
  }

  /** Key of the lock; `undefined` for the shard's record. */
  get key(): string | undefined {
    return this.effect.kind === 'persistLock' ? this.effect.record.key : undefined;
  }

  get record(): LockRecord {
    if (this.effect.kind !== 'persistLock') throw new Error('this is a write of the shard');
    return this.effect.record;
  }

  get shardRecord(): ShardRecord {
    if (this.effect.kind !== 'persistShard') throw new Error('this is a write of a lock');
    return this.effect.record;
  }

  /** Is compared and swapped, and answered: `ok`, or `conflict` with what is there instead. */
  lands(): void {
    if (this.reachesStore()) this.#answer('ok', { version: this.#world.leases.get(this.key ?? '')?.version });
    else this.conflicts();
  }

  /** Is refused because of another version; if that one is its own, it had landed. */
  conflicts(): void {
    const isOwnRecord = this.key === undefined && this.#world.shardRecord.attempt === this.effect.attempt;
    if (isOwnRecord) this.#answer('ok', {});
    else this.#answer('conflict', { stored: this.#world.leases.get(this.key ?? '') });
  }

  /** No answer came. The write may reach the store all the same, now or later by `reachesStore`. */
  isUnknown(): void {
    this.#answer('unknown', {});
  }

  isRefused(message = 'the server says no'): void {
    this.#answer('rejected', { message });
  }

  /** Compares and swaps without an answer; whether it landed. */
  reachesStore(): boolean {
    const { effect } = this;
    if (effect.kind === 'persistShard') {
      if (this.#shardVersion !== this.#world.shardVersion) return false;
      this.#world.shardRecord = effect.record;
      this.#world.shardVersion++;
      return true;
    }
    const { key } = effect.record;
    if (this.#world.leases.get(key)?.version !== effect.version) return false;
    this.#world.leases.set(key, { record: effect.record, version: this.#world.nextVersion() });
    return true;
  }

  #answer(
    outcome: 'ok' | 'conflict' | 'unknown' | 'rejected',
    more: { version?: string | undefined; stored?: StoredLockRecord | undefined; message?: string },
  ): void {
    const { writes } = this.#world;
    writes.splice(writes.indexOf(this), 1);
    this.#world.apply({ kind: 'persisted', key: this.key, attempt: this.effect.attempt, outcome, ...more });
  }
}
