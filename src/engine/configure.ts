import { compileKeyPattern } from '../api/custom-resources/key-pattern.ts';
import { policyNameOf } from '../api/lock-id.ts';
import type { ConfigureCommand } from './commands.ts';
import { settle } from './grant.ts';
import { leave } from './leave.ts';
import { DurableState, LockState, type Rules } from './lock.ts';
import type { EngineState } from './state.ts';
import { createWaitQueue } from './wait-queue.ts';

/**
 * Sets, changes or closes the rules of a lock or a pool. Holds keep what they were promised; an over-full lock drains. A closed
 * one takes no new acquire, its waiters are refused, its holds live to their end.
 */
export function configure(state: EngineState, command: ConfigureCommand, nowMs: number): void {
  if (command.resource === 'pool') configurePool(state, command, nowMs);
  else configureLock(state, command, nowMs);
}

function configurePool(state: EngineState, command: ConfigureCommand, nowMs: number): void {
  const rules: Rules = state.pools.get(command.name) ?? { policy: undefined };
  rules.policy = command.policy;
  const pattern = command.policy?.keyPattern;
  rules.takesKey = pattern === undefined ? undefined : compileKeyPattern(pattern);
  state.pools.set(command.name, rules);
  for (const lock of [...state.locks.values()]) {
    if (lock.kind === 'pool' && policyNameOf(lock.key) === command.name) rulesChanged(state, lock, nowMs);
  }
}

function configureLock(state: EngineState, command: ConfigureCommand, nowMs: number): void {
  let lock = state.locks.get(command.name);
  if (lock === undefined) {
    if (command.policy === undefined) return;
    lock = new LockState(command.name, 'lock', { policy: command.policy });
    lock.durable = new DurableState(lock, Math.max(0, command.counterFloor - 1), undefined);
    state.locks.set(command.name, lock);
    return;
  }
  if (lock.rules.policy === undefined && command.policy !== undefined)
    limitAdopted(state, lock, command.policy.maxHoldMs);
  lock.rules.policy = command.policy;
  if (lock.durable !== undefined) lock.durable.counter = Math.max(lock.durable.counter, command.counterFloor - 1);
  rulesChanged(state, lock, nowMs);
}

/** Holds adopted before the rules were known: their longest allowed life, which begins anew at a takeover, is known now. */
function limitAdopted(state: EngineState, lock: LockState, maxHoldMs = Number.POSITIVE_INFINITY): void {
  for (const hold of lock.holds) {
    if (hold.state !== 'adopted' || hold.maxHoldAtMs !== Number.POSITIVE_INFINITY) continue;
    hold.restartLife(maxHoldMs, hold.grantedAtMs);
    if (hold.maxHoldAtMs < hold.dueAtMs) state.deadlines.set(hold, hold.maxHoldAtMs);
  }
}

function rulesChanged(state: EngineState, lock: LockState, nowMs: number): void {
  const { policy } = lock;
  if (policy === undefined) {
    for (const waiter of lock.waiters()) {
      for (const ref of waiter.refs)
        state.refuseFor(waiter.session.id, ref, 'LOCK_NOT_FOUND', lock.key, { reason: 'deleted' });
      leave(state, waiter, 'closed', nowMs);
    }
  } else if (lock.writers !== undefined && lock.writers.fairness !== policy.fairness) {
    const queue = createWaitQueue(policy.fairness);
    for (const waiter of lock.writers.list(lock.writers.size)) {
      lock.writers.remove(waiter);
      queue.add(waiter);
    }
    lock.writers = queue;
  }
  settle(state, lock, nowMs);
}
