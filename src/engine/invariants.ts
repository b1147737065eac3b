import { type Hold, ownerKeyOf } from './hold.ts';
import type { LockState } from './lock.ts';
import type { Session } from './session.ts';
import type { EngineState } from './state.ts';
import type { Waiter } from './waiter.ts';

/** Throws, with what is wrong, if the engine's books do not agree with each other. O(everything); for tests and simulation. */
export function checkInvariants(state: EngineState): void {
  let holds = 0;
  let waiters = 0;
  for (const lock of state.locks.values()) {
    checkLock(state, lock);
    holds += lock.holds.size;
    waiters += lock.waiterCount;
  }
  expect(holds === state.holdCount, `holdCount is ${state.holdCount}, found ${holds}`);
  expect(waiters === state.waiterCount, `waiterCount is ${state.waiterCount}, found ${waiters}`);
  let indexed = 0;
  for (const list of state.waitersByOwner.values()) indexed += list.length;
  expect(indexed === waiters, `waitersByOwner has ${indexed} of ${waiters} waiters`);
  for (const session of state.sessions.values()) checkSession(session);
  for (const lock of state.shard.stalledLocks)
    expect(
      lock.stalled && state.locks.get(lock.key) === lock,
      `${lock.key} is put aside and not stalled, or forgotten`,
    );
}

function checkLock(state: EngineState, lock: LockState): void {
  const { key } = lock;
  let exclusive = 0;
  let shared = 0;
  const tokens = new Set<number>();
  for (const hold of lock.holds) {
    if (hold.mode === 'exclusive') exclusive++;
    else shared++;
    expect(!tokens.has(hold.token), `${key} has token ${hold.token} twice`);
    tokens.add(hold.token);
    expect(lock.holds.byToken(hold.token) === hold, `${key} does not find token ${hold.token}`);
    checkHold(state, lock, hold);
  }
  expect(tokens.size === lock.holds.size, `${key} miscounts its holds`);
  for (const delay of lock.lockDelays ?? []) {
    if (delay.mode === 'exclusive') exclusive++;
    else shared++;
    expect(delay.heapIndex >= 0, `${key} has a lock delay without end`);
  }
  expect(exclusive === lock.exclusiveCount && shared === lock.sharedCount, `${key} miscounts its places`);
  const waiters = lock.waiters();
  expect(waiters.length === lock.waiterCount, `${key} has ${waiters.length} waiters, counts ${lock.waiterCount}`);
  for (const waiter of waiters) checkWaiter(state, lock, waiter);
  const tryLocks = waiters.filter((waiter) => waiter.timeoutMs === 0).length;
  expect(tryLocks === lock.tryLockCount, `${key} miscounts its try-locks`);
  expect(lock.stalled === state.shard.stalledLocks.has(lock), `${key} is stalled and not put aside, or the reverse`);
  expect(lock.kind === 'lock' || !lock.isIdle, `${key} is idle and was not forgotten`);
  expect((lock.kind === 'lock') === (lock.durable !== undefined), `${key} is of the wrong durability`);
}

function checkHold(state: EngineState, lock: LockState, hold: Hold): void {
  const name = `${lock.key} token ${hold.token}`;
  expect(!hold.ended, `${name} has ended and is listed`);
  expect(hold.depth > 0, `${name} has depth ${hold.depth}`);
  const isTimed =
    hold.state !== 'granting' &&
    (!hold.overdue || hold.maxHoldAtMs !== Number.POSITIVE_INFINITY || hold.heapIndex >= 0);
  expect(isTimed === hold.heapIndex >= 0, `${name} has ${isTimed ? 'no' : 'a'} deadline`);
  const { session } = hold;
  if (lock.durable === undefined) {
    expect(hold.state !== 'granting', `${name} waits for a write that it does not need`);
    expect(hold.token < state.shard.nextToken, `${name} is not given out yet`);
    const isOnRecord = session === undefined || session.recorded || session.revoked || isWanted(state, session);
    expect(isOnRecord, `${name} is of a session that is not on record`);
  } else {
    expect(hold.token <= lock.durable.counter, `${name} is above its counter ${lock.durable.counter}`);
    const isOnItsWay = lock.durable.dirty || lock.durable.inFlight?.grants.includes(hold) === true;
    expect(hold.state !== 'granting' || isOnItsWay, `${name} is granted in no write`);
  }
  expect(hold.state === 'granting' || hold.pending === undefined, `${name} was told and still has requests to answer`);
  for (const { session: asking, ref, depth } of hold.pending ?? []) {
    expect(asking.pending.get(ref) === hold, `${name} waits to answer ${ref}, which does not wait for it`);
    expect(depth <= hold.depth, `${name} would answer depth ${depth} of ${hold.depth}`);
  }
  let above = hold.depth + 1;
  for (let entry = hold.requests; entry !== undefined; entry = entry.previous) {
    expect(entry.target === hold, `${name} remembers request ${entry.requestId}, which led elsewhere`);
    expect(entry.depth < above, `${name} remembers request ${entry.requestId} out of order`);
    above = entry.depth;
  }
}

function isWanted({ shard }: EngineState, session: Session): boolean {
  return shard.wantedSessions.has(session) || shard.inFlight?.sessions.has(session) === true;
}

function checkWaiter(state: EngineState, lock: LockState, waiter: Waiter): void {
  const owner = ownerKeyOf(waiter.session.principal, waiter.ownerId);
  const name = `${lock.key} waiter ${owner}`;
  expect(state.waitersByOwner.get(owner)?.[waiter.ownerIndex] === waiter, `${name} is unknown to the deadlock search`);
  const isParked = waiter.session.parked.has(waiter) && lock.parked?.has(waiter) === true;
  expect(waiter.parked === isParked, `${name} is parked on one side only`);
  for (const ref of waiter.refs)
    expect(waiter.session.waiters.get(ref) === waiter, `${name} is not found by ref ${ref}`);
  expect(waiter.timeoutMs !== 0 || lock.stalled || isParked || state.frozen, `${name} is a try-lock and waits`);
}

function checkSession(session: Session): void {
  let count = 0;
  for (let hold = session.firstHold; hold !== undefined; hold = hold.nextInSession) {
    count++;
    expect(hold.session === session && !hold.ended, `session ${session.id} lists a hold that is not its own`);
  }
  expect(count === session.holdCount, `session ${session.id} has holdCount ${session.holdCount}, found ${count}`);
  const isInUse =
    session.connected ||
    session.revoking ||
    session.holdCount + session.waiters.size + session.pending.size + session.parked.size > 0;
  expect(isInUse, `session ${session.id} is gone, left nothing, and is not forgotten`);
  for (const [ref, waiter] of session.waiters)
    expect(waiter.refs.includes(ref), `ref ${ref} points to a waiter that does not answer it`);
  for (const [ref, target] of session.pending) {
    const answers =
      'refs' in target
        ? target.refs.includes(ref)
        : target.pending?.some((reply) => reply.session === session && reply.ref === ref) === true;
    expect(answers, `ref ${ref} waits for a write that does not answer it`);
  }
}

function expect(condition: boolean, problem: string): asserts condition {
  if (!condition) throw new Error(`engine invariant broken: ${problem}`);
}
