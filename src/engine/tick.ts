import type { TickCommand } from './commands.ts';
import type { Deadline } from './deadlines.ts';
import { endHold, endLockDelay } from './ending.ts';
import { endGrace } from './grace.ts';
import { settle } from './grant.ts';
import { Hold } from './hold.ts';
import { leave } from './leave.ts';
import { DurableState, LockDelay } from './lock.ts';
import type { ShardDeadline } from './shard.ts';
import { requestShardWrite, reviewGrace } from './shard-record.ts';
import type { EngineState } from './state.ts';
import { Waiter } from './waiter.ts';

/** A tick later than this is a stall: renewals may lie unread in the sockets, so expiries are put off by as much. */
const STALL_MS = 100;
const SECOND_CHANCE_MS = 1_000;

/** Does everything that is due. */
export function tick(state: EngineState, command: TickCommand, nowMs: number): void {
  if (state.frozen) return;
  if (command.lateMs > STALL_MS) noteStall(state, command.lateMs, nowMs);
  for (;;) {
    const due = state.deadlines.peek();
    if (due === undefined || state.deadlines.nextDueMs > nowMs) return;
    state.deadlines.remove(due);
    meet(state, due, nowMs);
  }
}

/**
 * Nothing was heard for a while, so renewals may lie unread: no hold expires before it had as much more time as that took.
 * Each is put off when it falls due, so that a stall does not cause another one.
 */
export function noteStall(state: EngineState, stallMs: number, nowMs: number): void {
  const { stall } = state;
  // Stalls that follow each other add up.
  stall.byMs = stallMs + (nowMs < stall.untilMs ? stall.byMs : 0);
  stall.untilMs = nowMs + stall.byMs;
  stall.number++;
}

function defer(state: EngineState, hold: Hold, nowMs: number): void {
  // At least a moment from now: what was due first would else end with the very tick that found the stall.
  const dueAtMs = Math.max(hold.dueAtMs + state.stall.byMs, nowMs + Math.min(state.stall.byMs, SECOND_CHANCE_MS));
  hold.stall = state.stall.number;
  hold.deferredMs += dueAtMs - hold.dueAtMs;
  state.deadlines.set(hold, dueAtMs);
  state.count('deferredExpiry');
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

/** Policy Alert keeps what ran out, but not beyond its longest allowed life. */
function expire(state: EngineState, hold: Hold, nowMs: number): void {
  if (hold.dueAtMs <= state.stall.untilMs && hold.stall !== state.stall.number) {
    defer(state, hold, nowMs);
    return;
  }
  const isLastMoment = nowMs >= hold.maxHoldAtMs;
  if (hold.lock.policy?.expiryPolicy === 'Alert' && !isLastMoment) {
    hold.overdue = true;
    if (hold.maxHoldAtMs !== Number.POSITIVE_INFINITY) state.deadlines.set(hold, hold.maxHoldAtMs);
    state.audit({
      type: 'overdue',
      key: hold.lock.key,
      principal: hold.principal,
      ownerId: hold.ownerId,
      token: hold.token,
    });
    return;
  }
  endHold(state, hold, isLastMoment ? 'maxHold' : 'expired', nowMs);
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
