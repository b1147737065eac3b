import { ownerKeyOf } from './hold.ts';
import type { LockState } from './lock.ts';
import type { EngineState } from './state.ts';

/** Throws, with what is wrong, if the engine's books do not agree with each other. O(everything); for tests and simulation. */
export function checkInvariants(state: EngineState): void {
  let holds = 0;
  let waiters = 0;
  for (const lock of state.locks.values()) {
    holds += checkLock(state, lock);
    waiters += lock.waiterCount;
  }
  expect(holds === state.holdCount, `holdCount is ${state.holdCount}, found ${holds}`);
  expect(waiters === state.waiterCount, `waiterCount is ${state.waiterCount}, found ${waiters}`);
  let indexed = 0;
  for (const list of state.waitersByOwner.values()) indexed += list.length;
  expect(indexed === waiters, `waitersByOwner has ${indexed} of ${waiters} waiters`);
  for (const session of state.sessions.values()) {
    let count = 0;
    for (let hold = session.firstHold; hold !== undefined; hold = hold.nextInSession) {
      count++;
      expect(hold.session === session && !hold.ended, `session ${session.id} lists a hold that is not its own`);
    }
    expect(count === session.holdCount, `session ${session.id} has holdCount ${session.holdCount}, found ${count}`);
    for (const [ref, waiter] of session.waiters)
      expect(waiter.refs.includes(ref), `ref ${ref} points to a waiter that does not answer it`);
  }
}

function checkLock(state: EngineState, lock: LockState): number {
  const { key } = lock;
  let exclusive = 0;
  let shared = 0;
  const tokens = new Set<number>();
  for (const hold of lock.holds) {
    if (hold.mode === 'exclusive') exclusive++;
    else shared++;
    expect(!hold.ended, `${key} lists an ended hold`);
    expect(!tokens.has(hold.token), `${key} has token ${hold.token} twice`);
    tokens.add(hold.token);
    expect(lock.holds.byToken(hold.token) === hold, `${key} does not find token ${hold.token}`);
    const timed = hold.state !== 'granting' && !hold.overdue;
    expect(timed === hold.heapIndex >= 0, `${key} token ${hold.token} has ${timed ? 'no' : 'a'} deadline`);
    if (lock.durable !== undefined) expect(hold.token <= lock.durable.counter, `${key} has a token above its counter`);
  }
  expect(tokens.size === lock.holds.size, `${key} miscounts its holds`);
  for (const delay of lock.lockDelays ?? []) {
    if (delay.mode === 'exclusive') exclusive++;
    else shared++;
  }
  expect(exclusive === lock.exclusiveCount && shared === lock.sharedCount, `${key} miscounts its places`);
  const parked = lock.parked?.size ?? 0;
  const queued = (lock.writers?.size ?? 0) + (lock.readers?.size ?? 0);
  expect(
    queued + parked === lock.waiterCount,
    `${key} has waiterCount ${lock.waiterCount}, found ${queued} queued and ${parked} parked`,
  );
  for (const waiter of [...(lock.writers?.list(queued) ?? []), ...(lock.readers?.list(queued) ?? [])]) {
    const owner = ownerKeyOf(waiter.session.principal, waiter.ownerId);
    expect(
      state.waitersByOwner.get(owner)?.includes(waiter) === true,
      `${key} has a waiter unknown to the deadlock search`,
    );
  }
  if (lock.kind === 'pool' && lock.isIdle) expect(false, `${key} is idle and was not forgotten`);
  return lock.holds.size;
}

function expect(condition: boolean, problem: string): asserts condition {
  if (!condition) throw new Error(`engine invariant broken: ${problem}`);
}
