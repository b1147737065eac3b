import { leave } from './cancel.ts';
import type { TickCommand } from './commands.ts';
import type { Deadline } from './deadlines.ts';
import { endHold, endLockDelay } from './ending.ts';
import { endGrace } from './grace.ts';
import { settle } from './grant.ts';
import { Hold } from './hold.ts';
import { DurableState, LockDelay } from './lock.ts';
import type { ShardDeadline } from './shard.ts';
import { requestShardWrite, reviewGrace } from './shard-record.ts';
import type { EngineState } from './state.ts';
import { Waiter } from './waiter.ts';

/** A tick later than this is a stall: renewals may lie unread in the sockets, so expiries are put off by as much. */
const STALL_MS = 100;

/** Does everything that is due. After a stall no hold expires before it had as much more time as the stall took. */
export function tick(state: EngineState, command: TickCommand, nowMs: number): void {
  if (state.frozen) return;
  const stallMs = command.lateMs > STALL_MS ? command.lateMs : 0;
  if (stallMs > 0) deferExpiries(state, stallMs, nowMs);
  for (;;) {
    const due = state.deadlines.peek();
    if (due === undefined || state.deadlines.nextDueMs > nowMs) return;
    state.deadlines.remove(due);
    meet(state, due, nowMs);
  }
}

function deferExpiries(state: EngineState, stallMs: number, nowMs: number): void {
  const others: Deadline[] = [];
  for (;;) {
    const due = state.deadlines.peek();
    if (due === undefined || state.deadlines.nextDueMs > nowMs) break;
    state.deadlines.remove(due);
    if (due instanceof Hold) {
      // A stall is measured from the wake that was asked for, so this is never before now.
      state.deadlines.set(due, Math.max(due.dueAtMs + stallMs, nowMs + 1));
      state.count('deferredExpiry');
    } else {
      others.push(due);
    }
  }
  for (const due of others) state.deadlines.set(due, due.dueAtMs);
}

function meet(state: EngineState, due: Deadline, nowMs: number): void {
  if (due instanceof Hold) expire(state, due, nowMs);
  else if (due instanceof Waiter) timeOut(state, due, nowMs);
  else if (due instanceof LockDelay) {
    endLockDelay(state, due);
    settle(state, due.lock, nowMs);
  } else if (due instanceof DurableState) settle(state, due.lock, nowMs);
  else meetShard(state, due as ShardDeadline, nowMs);
}

function expire(state: EngineState, hold: Hold, nowMs: number): void {
  if (hold.lock.policy?.expiryPolicy === 'Alert') {
    hold.overdue = true;
    state.audit({
      type: 'overdue',
      key: hold.lock.key,
      principal: hold.principal,
      ownerId: hold.ownerId,
      token: hold.token,
    });
    return;
  }
  endHold(state, hold, nowMs >= hold.maxHoldAtMs ? 'maxHold' : 'expired', nowMs);
  settle(state, hold.lock, nowMs);
}

function timeOut(state: EngineState, waiter: Waiter, nowMs: number): void {
  const waitedMs = Math.round(nowMs - waiter.queuedAtMs);
  for (const ref of waiter.refs) {
    state.refuseFor(waiter.session.id, ref, 'ACQUIRE_TIMEOUT', waiter.lock.key, {
      waitedMs,
      waiterCount: waiter.lock.waiterCount - 1,
    });
  }
  leave(state, waiter, 'timeout', nowMs);
  settle(state, waiter.lock, nowMs);
}

function meetShard(state: EngineState, due: ShardDeadline, nowMs: number): void {
  if (due.purpose === 'graceEnd') endGrace(state, nowMs);
  else if (due.purpose === 'graceReview') reviewGrace(state, nowMs);
  else requestShardWrite(state);
}
