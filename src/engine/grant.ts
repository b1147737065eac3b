import { LIMITS } from '../api/limits.ts';
import type { HoldReply } from '../api/operations.ts';
import type { Mode } from '../api/vocabulary.ts';
import { flush, isRefusing, markDirty, takeDurableToken } from './durable.ts';
import { Hold, ownerKeyOf } from './hold.ts';
import { leave } from './leave.ts';
import type { LockState } from './lock.ts';
import { awaitGrant } from './pending.ts';
import { refuseHeld } from './refusals.ts';
import type { Session } from './session.ts';
import { mayGrantFromMemory, stall, takeMemoryToken, unstall } from './shard-record.ts';
import type { EngineState } from './state.ts';
import type { WaitQueue } from './wait-queue.ts';
import type { Waiter } from './waiter.ts';

/** What of a request a hold keeps. */
export interface GrantRequest {
  readonly ownerId: string;
  readonly mode: Mode;
  readonly ttlMs: number;
  readonly maxHoldMs: number;
  readonly metadata: Readonly<Record<string, string>> | undefined;
  readonly requestId: string | undefined;
  readonly queuedAtMs: number;
  readonly contended: boolean;
}

/** The last step of whatever touched a lock: serve its queue, write it down, forget it if nothing is left. */
export function settle(state: EngineState, lock: LockState, nowMs: number): void {
  if (lock.waiterCount > 0) promote(state, lock, nowMs);
  if (lock.durable !== undefined) flush(state, lock);
  else state.forgetIfIdle(lock);
}

/**
 * Grants the lock to whoever is next, until nobody fits. Readers and writers alternate in phases (Brandenburg and Anderson,
 * "Reader-Writer Synchronization for Shared-Memory Multiprocessor Real-Time Systems", 2009): while readers hold, a new reader
 * joins only if no writer waits; when a writer leaves, all readers that wait by then enter as one batch, before the next
 * writer; when the batch has left, the next writer enters. So a reader waits for at most one writer phase and one reader
 * phase, and no stream of readers keeps a writer out.
 */
export function promote(state: EngineState, lock: LockState, nowMs: number): void {
  while (!state.frozen) {
    const writer = firstHeard(state, lock.writers, nowMs);
    const reader = firstHeard(state, lock.readers, nowMs);
    const next = chooseNext(state, lock, writer, reader);
    if (next === undefined) {
      // Nobody waits for a record here any more: a try-lock that did now stands behind a holder, for which it does not wait.
      if (lock.stalled) unstall(state, lock);
      if (lock.tryLockCount === 0) return;
      refuseTryLocks(state, lock, nowMs);
      continue;
    }
    if (!mayGrantNow(state, lock, next)) return;
    state.removeWaiter(next);
    if (next === writer) countOvertaking(state, lock, next);
    grant(state, lock, next.session, next, next.refs, nowMs);
  }
}

function refuseTryLocks(state: EngineState, lock: LockState, nowMs: number): void {
  for (const waiter of lock.waiters()) {
    if (waiter.timeoutMs !== 0) continue;
    for (const ref of waiter.refs) refuseHeld(state, waiter.session, ref, lock, nowMs);
    leave(state, waiter, 'refused', nowMs);
  }
}

/** The writer behind this one has a higher priority, but has not waited as long. */
function countOvertaking(state: EngineState, lock: LockState, next: Waiter): void {
  const behind = lock.writers?.peek();
  if (behind !== undefined && behind.priority > next.priority && lock.writers?.fairness === 'Priority')
    state.count('agedOvertake');
}

function chooseNext(
  state: EngineState,
  lock: LockState,
  writer: Waiter | undefined,
  reader: Waiter | undefined,
): Waiter | undefined {
  if (reader !== undefined && lock.hasRoomFor('shared')) {
    if (
      writer !== undefined &&
      reader.sequence > lock.batchUntil &&
      lock.sharedCount === 0 &&
      lock.lastPhase === 'exclusive'
    ) {
      lock.batchUntil = state.sequence;
      state.count('readerBatch');
    }
    if (writer === undefined || reader.sequence <= lock.batchUntil) return reader;
  }
  return writer !== undefined && lock.hasRoomFor('exclusive') ? writer : undefined;
}

/** Whether nothing but room was missing: for a pool key the shard's record, for a DistributedLock a store that takes writes. */
function mayGrantNow(state: EngineState, lock: LockState, next: Waiter): boolean {
  if (lock.durable !== undefined) return !isRefusing(lock) && lock.holds.size < LIMITS.durableHoldersMax;
  if (mayGrantFromMemory(state, next.session, next.ttlMs)) return true;
  stall(state, lock);
  return false;
}

/**
 * The first waiter whose session was heard lately. The silent ones before it step out of the queue, each keeping its place for
 * its return: a grant to them would cost everybody else one time to live.
 */
export function firstHeard(state: EngineState, queue: WaitQueue | undefined, nowMs: number): Waiter | undefined {
  if (queue === undefined) return undefined;
  for (;;) {
    const waiter = queue.peek();
    if (waiter === undefined || !waiter.session.isSilentFor(waiter, nowMs)) return waiter;
    state.park(waiter);
    state.count('silentWaiterPassed');
  }
}

/** Puts a returned session's waiters back at their places. */
export function unpark(state: EngineState, session: Session, nowMs: number): void {
  const returned = [...session.parked].filter((waiter) => waiter.refs.length > 0);
  for (const waiter of returned) state.unpark(waiter);
  for (const waiter of returned) settle(state, waiter.lock, nowMs);
}

/**
 * Makes a hold. A memory grant is answered at once; a durable one when its write has landed, and its time starts there.
 * The caller has made sure that there is room and that the record allows it.
 */
export function grant(
  state: EngineState,
  lock: LockState,
  session: Session,
  request: GrantRequest,
  refs: readonly number[],
  nowMs: number,
): void {
  const { durable } = lock;
  const token = durable === undefined ? takeMemoryToken(state) : takeDurableToken(durable);
  const hold = new Hold(
    lock,
    session,
    session.principal,
    request.ownerId,
    request.mode,
    token,
    durable === undefined ? 'held' : 'granting',
    request.ttlMs,
    nowMs,
  );
  hold.maxHoldMs = request.maxHoldMs;
  hold.metadata = request.metadata;
  hold.queuedAtMs = request.queuedAtMs;
  hold.contended = request.contended;
  lock.holds.add(hold);
  lock.occupy(request.mode);
  lock.lastPhase = request.mode;
  if (request.mode === 'exclusive') lock.batchUntil = -1;
  session.addHold(hold);
  state.holdCount++;
  if (state.waiterCount > 0 && state.waitersByOwner.has(ownerKeyOf(hold.principal, hold.ownerId)))
    state.grantsToSearch.push(hold);
  if (request.requestId !== undefined) session.requests.rememberHold(request.requestId, hold, 1);
  if (durable !== undefined) {
    for (const ref of refs) awaitGrant(hold, session, ref, 1);
    markDirty(state, lock);
    return;
  }
  beginHold(state, hold, nowMs);
  for (const ref of refs) state.reply(session.id, holdReply(state, hold, session, ref, 1, nowMs));
}

/** The hold's time starts: at once for a memory grant, at the landing of its write for a durable one. */
export function beginHold(state: EngineState, hold: Hold, nowMs: number): void {
  hold.state = 'held';
  hold.grantedAtMs = nowMs;
  hold.stall = state.stall.number;
  hold.maxHoldAtMs = nowMs + hold.maxHoldMs;
  state.deadlines.set(hold, Math.min(nowMs + hold.ttlMs, hold.maxHoldAtMs));
  notePromiseOf(state, hold);
  state.audit({
    type: 'granted',
    key: hold.lock.key,
    principal: hold.principal,
    ownerId: hold.ownerId,
    mode: hold.mode,
    token: hold.token,
    ttlMs: hold.ttlMs,
    waitedMs: nowMs - hold.queuedAtMs,
    contended: hold.contended,
  });
}

/** Moves a hold's expiry to `ttlMs` from now: never earlier than it is, never beyond its longest allowed life. */
export function extend(state: EngineState, hold: Hold, ttlMs: number, nowMs: number): void {
  hold.ttlMs = ttlMs;
  hold.stall = state.stall.number;
  const dueAtMs = Math.min(nowMs + ttlMs, hold.maxHoldAtMs);
  if (hold.overdue || dueAtMs > hold.dueAtMs) {
    hold.overdue = false;
    hold.deferredMs = 0;
    state.deadlines.set(hold, dueAtMs);
  }
  notePromiseOf(state, hold);
}

/** Remembers a memory hold's promise for the review of the recorded grace. A durable one's stands on its own Lease. */
export function notePromiseOf(state: EngineState, hold: Hold): void {
  if (hold.lock.durable === undefined) state.shard.notePromise(hold.ttlMs);
}

/**
 * What is told of a hold to a session that asked. Its time counts from the newest frame of *that* session. What a stall put off
 * is not promised: it is on no record.
 */
export function holdReply(
  state: EngineState,
  hold: Hold,
  session: Session,
  ref: number,
  depth: number,
  nowMs: number,
): HoldReply {
  return {
    kind: 'hold',
    ref,
    key: hold.lock.key,
    ownerId: hold.ownerId,
    mode: hold.mode,
    token: hold.token,
    depth,
    ttlMs: hold.ttlMs,
    remainingMs: hold.overdue ? 0 : Math.max(0, hold.dueAtMs - hold.deferredMs - nowMs),
    seen: session.frame,
    epoch: state.shard.epoch,
    metadata: hold.metadata,
  };
}
