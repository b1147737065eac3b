import { LIMITS } from '../api/limits.ts';
import type { ImportCommand } from './commands.ts';
import { settle } from './grant.ts';
import { Hold } from './hold.ts';
import { DurableState, LockDelay, LockState } from './lock.ts';
import { lockKindOf } from '../api/lock-id.ts';
import type { HoldSnapshot, LockSnapshot, ShardSnapshot, WaiterSnapshot } from './records.ts';
import { Session } from './session.ts';
import { recordSession, requestShardWrite } from './shard-record.ts';
import { serveStalled } from './grace.ts';
import { noteStall } from './tick.ts';
import type { EngineState } from './state.ts';
import { Waiter } from './waiter.ts';

/** How long a moved waiter without a session keeps its place. */
const REASK_WITHIN_MS = 60_000;

/** Nothing is granted, written or told any more. Writes in flight are still awaited; export when `isDrained`. */
export function freeze(state: EngineState, nowMs: number): void {
  state.frozen = true;
  state.frozenAtMs = nowMs;
}

/** The hand-over did not happen: whatever was put off meanwhile is done now. Renewals were refused, so expiries are put off too. */
export function resume(state: EngineState, nowMs: number): void {
  state.frozen = false;
  noteStall(state, nowMs - state.frozenAtMs, nowMs);
  if (state.shard.dirty) requestShardWrite(state);
  serveStalled(state, nowMs);
  for (const lock of [...state.locks.values()])
    if (lock.waiterCount > 0 || lock.durable?.dirty === true) settle(state, lock, nowMs);
}

/** No write is in flight: the state can be exported. */
export function isDrained(state: EngineState): boolean {
  if (state.shard.inFlight !== undefined) return false;
  for (const lock of state.locks.values()) if (lock.durable?.inFlight !== undefined) return false;
  return true;
}

/** Everything the next owner needs, in durations. Only of a frozen and drained engine. */
export function exportSnapshot(state: EngineState, nowMs: number): ShardSnapshot {
  if (!state.frozen || !isDrained(state)) throw new Error('export needs a frozen and drained engine');
  const { shard } = state;
  return {
    format: 1,
    shard: shard.shard,
    graceMs: shard.graceMs,
    grace: shard.inGrace
      ? {
          remainingMs: Math.max(0, shard.graceEnd.dueAtMs - nowMs),
          slots: [...shard.inheritedSlots],
          mayEndEarly: shard.graceMayEndEarly,
        }
      : undefined,
    slots: [...shard.slots.keys()],
    slotsOverflow: shard.slotsOverflow,
    revocations: shard.revocations.map(({ key, floor }) => ({ key, floor })),
    counter: shard.nextToken - 1,
    locks: [...state.locks.values()].map((lock) => exportLock(lock, nowMs)),
  };
}

function exportLock(lock: LockState, nowMs: number): LockSnapshot {
  const { durable } = lock;
  return {
    key: lock.key,
    durable:
      durable === undefined
        ? undefined
        : {
            counter: durable.counter,
            landedCounter: durable.landedCounter,
            landedAttempt: durable.landedAttempt,
            unknownAttempts: durable.unknownAttempts,
            version: durable.version,
            dirty: durable.dirty,
            unwrittenEnds: durable.unwrittenEnds,
            ends: durable.acknowledgements.flatMap((pending) => (pending.kind === 'ended' ? pending.event : [])),
          },
    lastPhase: lock.lastPhase,
    holds: [...lock.holds].filter((hold) => hold.state !== 'granting').map((hold) => exportHold(hold, nowMs)),
    waiters: lock
      .waiters()
      .filter((waiter) => waiter.requestId !== undefined && waiter.timeoutMs !== 0)
      .sort((left, right) => left.sequence - right.sequence)
      .map((waiter) => exportWaiter(waiter, nowMs)),
    lockDelays: (lock.lockDelays ?? []).map((delay) => ({
      mode: delay.mode,
      remainingMs: Math.max(0, delay.dueAtMs - nowMs),
    })),
  };
}

function exportHold(hold: Hold, nowMs: number): HoldSnapshot {
  return {
    principal: hold.principal,
    ownerId: hold.ownerId,
    mode: hold.mode,
    token: hold.token,
    ttlMs: hold.ttlMs,
    sessionId: hold.session?.id ?? 0,
    slot: hold.session?.slot ?? -1,
    depth: hold.depth,
    remainingMs: hold.overdue ? 0 : Math.max(0, hold.dueAtMs - nowMs),
    deferredMs: hold.deferredMs,
    recordedTtlMs: hold.recordedTtlMs,
    writtenTtlMs: hold.writtenTtlMs,
    heldForMs: nowMs - hold.grantedAtMs,
    maxHoldRemainingMs: hold.maxHoldAtMs === Number.POSITIVE_INFINITY ? undefined : hold.maxHoldAtMs - nowMs,
    metadata: hold.metadata,
    ...exportRequests(hold),
    overdue: hold.overdue,
    contested: hold.contested,
    unclaimed: hold.state === 'adopted',
  };
}

/** Those of the hold's own session, by growing depth. Another session's repetition would not find the new owner's memory of it. */
function exportRequests(hold: Hold): Pick<HoldSnapshot, 'requestIds' | 'requestDepths'> {
  const requestIds: string[] = [];
  const requestDepths: number[] = [];
  for (let entry = hold.requests; entry !== undefined; entry = entry.previous) {
    if (entry.memory !== hold.session?.requests) continue;
    requestIds.unshift(entry.requestId);
    requestDepths.unshift(entry.depth);
  }
  return { requestIds, requestDepths };
}

function exportWaiter(waiter: Waiter, nowMs: number): WaiterSnapshot {
  return {
    sessionId: waiter.session.id,
    slot: waiter.session.slot,
    principal: waiter.session.principal,
    ownerId: waiter.ownerId,
    mode: waiter.mode,
    ttlMs: waiter.ttlMs,
    timeoutRemainingMs: waiter.heapIndex === -1 ? undefined : Math.max(0, waiter.dueAtMs - nowMs),
    priority: waiter.priority,
    waitedMs: nowMs - waiter.queuedAtMs,
    maxHoldMs: waiter.maxHoldMs === Number.POSITIVE_INFINITY ? undefined : waiter.maxHoldMs,
    metadata: waiter.metadata,
    requestId: waiter.requestId as string,
  };
}

/**
 * Takes up the previous owner's state, also the grace it was in. Times count from now. Sessions are there as soon as they connect; their moved waiters
 * keep their places for a minute, until asked for again with the same request id.
 */
export function importSnapshot(state: EngineState, command: ImportCommand, nowMs: number): void {
  const { snapshot } = command;
  const { shard } = state;
  if (snapshot.shard !== shard.shard) throw new Error(`snapshot of shard ${snapshot.shard} given to ${shard.shard}`);
  if (state.holdCount > 0) throw new Error('a snapshot is for an engine that has no holds yet');
  const { grace } = snapshot;
  shard.inGrace = grace !== undefined;
  shard.inheritedSlots = new Set(grace?.slots);
  shard.graceMayEndEarly &&= grace?.mayEndEarly ?? true;
  state.deadlines.set(shard.graceEnd, grace === undefined ? Number.POSITIVE_INFINITY : nowMs + grace.remainingMs);
  shard.nextToken = Math.max(shard.nextToken, snapshot.counter + 1);
  for (const moved of snapshot.locks) importLock(state, moved, nowMs);
}

function importLock(state: EngineState, moved: LockSnapshot, nowMs: number): void {
  let lock = state.locks.get(moved.key);
  if (lock === undefined) {
    const kind = lockKindOf(moved.key);
    lock = new LockState(moved.key, kind, kind === 'pool' ? state.rulesForClaim(moved.key) : { policy: undefined });
    state.locks.set(moved.key, lock);
  }
  if (moved.durable !== undefined) {
    lock.durable ??= new DurableState(lock, 0, moved.durable.version);
    lock.durable.version = moved.durable.version;
    lock.durable.counter = Math.max(lock.durable.counter, moved.durable.counter);
    lock.durable.landedCounter = moved.durable.landedCounter;
    lock.durable.landedAttempt = moved.durable.landedAttempt;
    lock.durable.unknownAttempts = [...moved.durable.unknownAttempts];
    lock.durable.dirty ||= moved.durable.dirty;
    lock.durable.unwrittenEnds.push(...moved.durable.unwrittenEnds);
    for (const event of moved.durable.ends) lock.durable.acknowledgements.push({ kind: 'ended', event });
  }
  lock.lastPhase = moved.lastPhase;
  for (const hold of moved.holds) importHold(state, lock, hold, nowMs);
  for (const { mode, remainingMs } of moved.lockDelays) {
    const delay = new LockDelay(lock, mode, remainingMs);
    lock.lockDelays = [...(lock.lockDelays ?? []), delay];
    lock.occupy(mode);
    state.deadlines.set(delay, nowMs + remainingMs);
  }
  for (const waiter of moved.waiters) importWaiter(state, lock, waiter, nowMs);
  settle(state, lock, nowMs);
}

function importHold(state: EngineState, lock: LockState, moved: HoldSnapshot, nowMs: number): void {
  const hold = new Hold(
    lock,
    undefined,
    moved.principal,
    moved.ownerId,
    moved.mode,
    moved.token,
    moved.unclaimed ? 'adopted' : 'held',
    moved.ttlMs,
    nowMs - moved.heldForMs,
  );
  hold.recordedTtlMs = moved.recordedTtlMs;
  hold.writtenTtlMs = moved.writtenTtlMs;
  hold.depth = moved.depth;
  hold.metadata = moved.metadata;
  hold.contested = moved.contested;
  hold.overdue = moved.overdue;
  hold.deferredMs = moved.deferredMs;
  if (moved.maxHoldRemainingMs !== undefined) hold.maxHoldAtMs = nowMs + moved.maxHoldRemainingMs;
  lock.holds.add(hold);
  lock.occupy(moved.mode);
  state.holdCount++;
  if (moved.sessionId !== 0) {
    const session = importedSession(state, moved, nowMs);
    session.addHold(hold);
    if (!session.recorded && lock.durable === undefined) recordSession(state, session);
    for (const [index, requestId] of moved.requestIds.entries())
      session.requests.rememberHold(requestId, hold, moved.requestDepths[index] ?? 1);
  }
  if (!moved.overdue) state.deadlines.set(hold, nowMs + moved.remainingMs);
  else if (moved.maxHoldRemainingMs !== undefined) state.deadlines.set(hold, hold.maxHoldAtMs);
}

function importWaiter(state: EngineState, lock: LockState, moved: WaiterSnapshot, nowMs: number): void {
  const session = importedSession(state, moved, nowMs);
  const request = {
    ...moved,
    timeoutMs: moved.timeoutRemainingMs === undefined ? -1 : Math.max(1, moved.timeoutRemainingMs),
    maxHoldMs: moved.maxHoldMs ?? Number.POSITIVE_INFINITY,
  };
  const waiter = new Waiter(lock, session, request, [], nowMs - moved.waitedMs, ++state.sequence, true);
  state.addWaiter(waiter);
  state.park(waiter);
  session.requests.remember(moved.requestId, lock.key, waiter);
  state.deadlines.set(waiter, nowMs + Math.min(moved.timeoutRemainingMs ?? LIMITS.timeoutMsMax, REASK_WITHIN_MS));
}

function importedSession(
  state: EngineState,
  moved: { readonly sessionId: number; readonly slot: number; readonly principal: string },
  nowMs: number,
): Session {
  const known = state.sessions.get(moved.sessionId);
  if (known !== undefined) return known;
  const session = new Session(moved.sessionId, moved.principal, moved.slot, false, 0, nowMs);
  session.connected = false;
  session.recorded = state.shard.recognise(session);
  session.mayReclaim = state.shard.inheritedSlots.has(session.slot);
  state.sessions.set(session.id, session);
  return session;
}
