import { LIMITS } from '../api/limits.ts';
import { searchDeadlock } from './deadlock.ts';
import { type Hold, ownerKeyOf } from './hold.ts';
import { settle } from './grant.ts';
import { leave } from './leave.ts';
import type { EngineState } from './state.ts';
import type { Waiter } from './waiter.ts';

/**
 * Looks for a deadlock that this waiter closes. Policy Report names it in an event; policy Break also refuses the youngest
 * waiter on the cycle whose lock says so.
 */
export function findDeadlock(state: EngineState, waiter: Waiter, nowMs: number): void {
  if (!holdersWait(state, waiter)) return;
  const found = searchDeadlock(state, waiter);
  if (found === undefined) return;
  let victim: Waiter | undefined;
  for (const candidate of found.waiters) {
    if (candidate.lock.policy?.deadlockPolicy !== 'Break') continue;
    if (victim === undefined || candidate.sequence > victim.sequence) victim = candidate;
  }
  state.audit({ type: 'deadlock', cycle: found.cycle, victim: victim?.ownerId });
  if (victim === undefined) return;
  const cycle = found.cycle.map(({ ownerId, waitsFor, heldBy }) => ({ ownerId, waitsFor, heldBy }));
  for (const ref of victim.refs) state.refuseFor(victim.session.id, ref, 'DEADLOCK', victim.lock.key, { cycle });
  leave(state, victim, 'deadlock', nowMs);
  settle(state, victim.lock, nowMs);
}

/** The cheap question first: does any holder in the way wait for anything at all? */
function holdersWait(state: EngineState, waiter: Waiter): boolean {
  let looked = 0;
  for (
    let hold = waiter.lock.holds.first;
    hold !== undefined && looked < LIMITS.deadlockSearchMax;
    hold = hold.nextInLock, looked++
  ) {
    if (state.waitersByOwner.has(ownerKeyOf(hold.principal, hold.ownerId))) return true;
  }
  return false;
}

/** A grant can close a cycle too: its owner waits elsewhere, and others now wait for it. */
export function findDeadlockAfterGrant(state: EngineState, hold: Hold, nowMs: number): void {
  if (hold.lock.waiterCount === 0) return;
  const waiting = state.waitersByOwner.get(ownerKeyOf(hold.principal, hold.ownerId));
  if (waiting === undefined) return;
  for (const waiter of [...waiting]) findDeadlock(state, waiter, nowMs);
}
