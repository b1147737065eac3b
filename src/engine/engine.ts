import type { Operation } from '../api/operations.ts';
import { acquire } from './acquire.ts';
import { adopt } from './adopt.ts';
import { findDeadlockAfterGrant } from './break-deadlock.ts';
import { cancel } from './cancel.ts';
import type { Command, PersistedCommand, RememberCommand, SessionCommand } from './commands.ts';
import { configure } from './configure.ts';
import { forceRelease } from './force-release.ts';
import { unpark } from './grant.ts';
import { isUnsettled } from './durable.ts';
import { exportSnapshot, freeze, importSnapshot, isDrained, resume } from './hand-over.ts';
import { inspect, inspectionOf, listKeys } from './inspect.ts';
import { leaseSeen, shardLeaseSeen } from './lease-seen.ts';
import type { Inspection } from '../api/operations.ts';
import { checkInvariants } from './invariants.ts';
import { persistedLock } from './persisted.ts';
import { persistedShard } from './persisted-shard.ts';
import { reclaim } from './reclaim.ts';
import type { HolderRecord, ShardRecord, ShardSnapshot } from './records.ts';
import { release } from './release.ts';
import { remember } from './remember.ts';
import { renew } from './renew.ts';
import type { Session } from './session.ts';
import { closeSession, completeReclaim, openSession } from './sessions.ts';
import type { ShardStart } from './shard.ts';
import { EngineState, type Step } from './state.ts';
import { tick } from './tick.ts';

/** See `RememberCommand`. */
export type RememberedLock = Omit<RememberCommand, 'kind'>;

export interface KnownLease {
  /** `undefined`: there is none. */
  readonly version: string | undefined;
  /** Of the record that surely stood there last. */
  readonly attempt: string | undefined;
  /** Whether nothing is to be written and no write is under way: then every other version is somebody else's. */
  readonly settled: boolean;
}

/**
 * The lock state machine of one shard: synchronous and deterministic. A command and the time go in; replies, effects and the
 * next wake-up come out. The caller owns the clock, runs the effects by the contract in `effects.ts`, and gives every command
 * of a shard to one engine, in order. Not thread-safe and not re-entrant.
 */
export class ShardEngine {
  readonly #state: EngineState;

  constructor(start: ShardStart) {
    this.#state = new EngineState(start);
    const { shard, deadlines } = this.#state;
    if (shard.inGrace) deadlines.set(shard.graceEnd, start.nowMs + start.graceRemainingMs);
    if (shard.graceMs > 0) deadlines.set(shard.graceReview, start.nowMs + shard.graceMs);
  }

  get shard(): number {
    return this.#state.shard.shard;
  }

  get epoch(): number {
    return this.#state.shard.epoch;
  }

  /** Holds, told or not. */
  get holdCount(): number {
    return this.#state.holdCount;
  }

  /** Queued acquires over all locks. */
  get waiterCount(): number {
    return this.#state.waiterCount;
  }

  /** Sessions that are here, or left something behind. */
  get sessionCount(): number {
    return this.#state.sessions.size;
  }

  /** Whether only reclaims of pool keys are served. */
  get inGrace(): boolean {
    return this.#state.shard.inGrace;
  }

  /** Whether a frozen engine has no write in flight any more. */
  get isDrained(): boolean {
    return isDrained(this.#state);
  }

  /** Moment of the next wanted `tick`; Infinity if none. */
  get wakeAtMs(): number {
    return this.#state.frozen ? Number.POSITIVE_INFINITY : this.#state.deadlines.nextDueMs;
  }

  /** Applies one command. `nowMs` never goes back. Throws only on a broken invariant: the process must then end. */
  apply(command: Command, nowMs: number): Step {
    const state = this.#state;
    if (command.kind === 'operation') applyOperation(state, command, nowMs);
    else applyOther(state, command, nowMs);
    while (state.grantsToSearch.length > 0) {
      const grants = state.grantsToSearch;
      state.grantsToSearch = [];
      for (const hold of grants) if (!hold.ended) findDeadlockAfterGrant(state, hold, nowMs);
    }
    return state.takeStep();
  }

  /** Whether the record names this slot, for a session that is here or for one that has not come yet. */
  isSlotRecorded(slot: number): boolean {
    return this.#state.shard.slots.has(slot);
  }

  /** A lock as it stands, without a session; for controllers and dashboards. */
  inspect(key: string, nowMs: number): Inspection | undefined {
    return this.#state.isKnown(key) ? inspectionOf(this.#state, key, nowMs) : undefined;
  }

  /** A page of keys, in order; O(keys of the shard). */
  listKeys(prefix: string, after: string, limit: number): string[] {
    return listKeys(this.#state, prefix, after, limit);
  }

  /** What a next owner in this process must not forget of the DistributedLocks: in no order, made now. */
  remembered(): RememberedLock[] {
    const remembered: RememberedLock[] = [];
    for (const { key, durable, holds } of this.#state.locks.values()) {
      if (durable === undefined) continue;
      const holders: HolderRecord[] = [];
      for (const { principal, ownerId, mode, token, state, recordedTtlMs, writtenTtlMs } of holds)
        if (state !== 'granting')
          holders.push({ principal, ownerId, mode, token, ttlMs: Math.max(recordedTtlMs, writtenTtlMs) });
      remembered.push({ key, counter: durable.counter, landedCounter: durable.landedCounter, holders });
    }
    return remembered;
  }

  /** What a next owner in this process must not forget of the shard: what its record says, made now. */
  rememberedShard(): Pick<ShardRecord, 'epoch' | 'graceMs' | 'slots' | 'slotsOverflow' | 'revocations'> {
    const { epoch, graceMs, wantedGraceMs, slots, slotsOverflow, revocations } = this.#state.shard;
    return {
      epoch,
      graceMs: Math.max(graceMs, wantedGraceMs),
      slots: [...slots.keys()],
      slotsOverflow,
      revocations: revocations.map(({ key, floor }) => ({ key, floor })),
    };
  }

  /** Whether a session may have this slot on the shard's record. */
  hasSlot(slot: number): boolean {
    return this.#state.shard.slots.has(slot);
  }

  /** What this owner last knew of a DistributedLock's Lease; `undefined` if it has no such lock. */
  knownLease(key: string): KnownLease | undefined {
    const durable = this.#state.locks.get(key)?.durable;
    return durable && { version: durable.version, attempt: durable.landedAttempt, settled: !isUnsettled(durable) };
  }

  /** Keys of its DistributedLocks, in no order. */
  *durableKeys(): IterableIterator<string> {
    for (const lock of this.#state.locks.values()) if (lock.durable !== undefined) yield lock.key;
  }

  /** Highest token of a pool lock given out. */
  get lastMemoryToken(): number {
    return this.#state.shard.nextToken - 1;
  }

  exportSnapshot(nowMs: number): ShardSnapshot {
    return exportSnapshot(this.#state, nowMs);
  }

  /** Throws if the engine's books do not agree with each other. O(everything); for tests and simulation. */
  checkInvariants(): void {
    checkInvariants(this.#state);
  }
}

function applyOperation(state: EngineState, command: SessionCommand, nowMs: number): void {
  const session = hear(state, command.sessionId, command.connection, command.frame, nowMs);
  if (session === undefined) return;
  if (state.frozen) {
    if (command.operation.op === 'cancel') cancel(state, session, command.operation, nowMs);
    else state.refuse(session.id, command.operation.ref, 'UNAVAILABLE', { reason: 'frozen', retryAfterMs: 50 });
    return;
  }
  if (session.revoked && isForTheLiving(command.operation)) {
    state.refuse(session.id, command.operation.ref, 'UNAVAILABLE', { reason: 'orphaned', retryAfterMs: 1_000 });
    return;
  }
  operate(state, session, command.operation, nowMs);
}

/** What a session may no longer ask whose processes were reported terminated. */
function isForTheLiving({ op }: Operation): boolean {
  return op === 'acquire' || op === 'renew' || op === 'reclaim';
}

/** Notes that a frame of the session came; `undefined` if it came over a connection that is none any more. */
function hear(
  state: EngineState,
  sessionId: number,
  connection: number,
  frame: number,
  nowMs: number,
): Session | undefined {
  const session = state.sessions.get(sessionId);
  if (session === undefined || connection !== session.connection || !session.connected) {
    state.count('supersededFrame');
    return undefined;
  }
  session.frame = frame;
  session.heardAtMs = nowMs;
  if (session.parked.size > 0) unpark(state, session, nowMs);
  return session;
}

function operate(state: EngineState, session: Session, operation: Operation, nowMs: number): void {
  switch (operation.op) {
    case 'acquire':
      return acquire(state, session, operation, nowMs);
    case 'renew':
      return renew(state, session, operation, nowMs);
    case 'release':
      return release(state, session, operation, nowMs);
    case 'forceRelease':
      return forceRelease(state, session, operation, nowMs);
    case 'cancel':
      return cancel(state, session, operation, nowMs);
    case 'inspect':
      return inspect(state, session, operation, nowMs);
    case 'reclaim':
      return reclaim(state, session, operation, nowMs);
  }
}

function applyOther(state: EngineState, command: Exclude<Command, SessionCommand>, nowMs: number): void {
  switch (command.kind) {
    case 'heard':
      hear(state, command.sessionId, command.connection, command.frame, nowMs);
      return undefined;
    case 'openSession':
      return openSession(state, command, nowMs);
    case 'closeSession':
      return closeSession(state, command, nowMs);
    case 'reclaimComplete':
      return completeReclaim(state, command, nowMs);
    case 'configure':
      return configure(state, command, nowMs);
    case 'adopt':
      return adopt(state, command, nowMs);
    case 'remember':
      return remember(state, command, nowMs);
    case 'leaseSeen':
      return leaseSeen(state, command, nowMs);
    case 'shardLeaseSeen':
      return shardLeaseSeen(state, command);
    case 'persisted':
      return persisted(state, command, nowMs);
    case 'tick':
      return tick(state, command, nowMs);
    case 'freeze':
      return freeze(state, nowMs);
    case 'resume':
      return resume(state, nowMs);
    case 'import':
      return importSnapshot(state, command, nowMs);
  }
}

function persisted(state: EngineState, command: PersistedCommand, nowMs: number): void {
  if (command.key === undefined) {
    persistedShard(state, command, nowMs);
    return;
  }
  const lock = state.locks.get(command.key);
  if (lock?.durable !== undefined) persistedLock(state, lock, lock.durable, command, nowMs);
}
