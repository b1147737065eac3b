import type { CloseSessionCommand, OpenSessionCommand, ReclaimCompleteCommand } from './commands.ts';
import { takeDurableToken } from './durable.ts';
import { endHold } from './ending.ts';
import { endGrace } from './grace.ts';
import { settle, unpark } from './grant.ts';
import type { Hold } from './hold.ts';
import { leave } from './leave.ts';
import type { LockState } from './lock.ts';
import { withdraw } from './pending.ts';
import { attach } from './promise.ts';
import { Session } from './session.ts';
import { revokeAfterRecord, takeMemoryToken } from './shard-record.ts';
import type { EngineState } from './state.ts';

/** A first connection makes the session; a later one supersedes the earlier, whose frames are dropped from then on. */
export function openSession(state: EngineState, command: OpenSessionCommand, nowMs: number): void {
  const known = state.sessions.get(command.sessionId);
  if (known === undefined) {
    const session = new Session(
      command.sessionId,
      command.principal,
      command.slot,
      command.inProcess,
      command.connection,
      nowMs,
    );
    session.recorded = state.shard.recognise(session);
    session.mayReclaim = state.shard.inheritedSlots.has(command.slot);
    state.sessions.set(session.id, session);
    return;
  }
  if (known.principal !== command.principal) throw new Error('a session never changes its principal');
  if (command.connection <= known.connection) return;
  known.connection = command.connection;
  known.connected = true;
  known.heardAtMs = nowMs;
  if (known.parked.size > 0) unpark(state, known, nowMs);
}

/**
 * A disconnect takes nothing back: only what was not yet granted leaves with the connection, and holds run to their expiry.
 * Holds end early only by the client's own goodbye, or on proof that its processes have ended.
 */
export function closeSession(state: EngineState, command: CloseSessionCommand, nowMs: number): void {
  const session = state.sessions.get(command.sessionId);
  if (session === undefined || session.connection !== command.connection) return;
  session.connected = false;
  const touched = new Set<LockState>();
  for (const waiter of new Set([...session.waiters.values(), ...session.parked])) {
    leave(state, waiter, 'disconnected', nowMs);
    touched.add(waiter.lock);
  }
  for (const ref of [...session.pending.keys()]) withdraw(session, ref);
  for (const hold of holdsOf(session)) {
    if (hold.state === 'granting') {
      const others = hold.pending?.[0]?.session;
      if (others === undefined) endHold(state, hold, 'disowned', nowMs);
      else attach(state, others, hold);
    } else if (command.reason === 'goodbye') {
      endHold(state, hold, 'goodbye', nowMs);
    } else if (command.reason === 'orphaned' && hold.lock.durable !== undefined) {
      takeDurableToken(hold.lock.durable);
      endHold(state, hold, 'orphaned', nowMs, { by: 'lockkeeper', text: 'the containers of its pod have terminated' });
    }
    touched.add(hold.lock);
  }
  if (command.reason === 'orphaned' && session.holdCount > 0) revokeSession(state, session, nowMs);
  state.forgetIfGone(session);
  for (const lock of touched) settle(state, lock, nowMs);
}

/** Its slot leaves the record, and with it every right to reclaim; so it never gets one again. */
function revokeSession(state: EngineState, session: Session, nowMs: number): void {
  if (session.revoked) return;
  const revocation = {
    key: undefined,
    session,
    floor: takeMemoryToken(state),
    acknowledgement: undefined,
    by: 'lockkeeper',
    text: 'the containers of its pod have terminated',
  };
  // Without room on the record the holds run out by themselves: later, never wrongly.
  if (!revokeAfterRecord(state, revocation, nowMs)) return;
  session.revoked = true;
  session.revoking = true;
  session.recorded = false;
  for (const hold of holdsOf(session)) hold.ending = true;
}

/** The session has declared all it has; once every recorded session has, the grace is over. */
export function completeReclaim(state: EngineState, command: ReclaimCompleteCommand, nowMs: number): void {
  const session = state.sessions.get(command.sessionId);
  if (session === undefined || session.connection !== command.connection) return;
  session.reclaimComplete = true;
  giveUpUnclaimed(state, session, nowMs);
  const { shard } = state;
  shard.inheritedSlots.delete(session.slot);
  if (!shard.inGrace || !shard.graceMayEndEarly || shard.inheritedSlots.size > 0) return;
  state.count('graceEndedEarly');
  endGrace(state, nowMs);
}

/** What an owner of this session has on record and did not declare, it does not have: its waiting acquires are not behind it. */
function giveUpUnclaimed(state: EngineState, session: Session, nowMs: number): void {
  for (const waiter of new Set([...session.waiters.values(), ...session.parked])) {
    const own = waiter.lock.holds.ofOwner(session.principal, waiter.ownerId);
    if (own?.state !== 'adopted' || own.session !== undefined) continue;
    endHold(state, own, 'disowned', nowMs);
    settle(state, waiter.lock, nowMs);
  }
}

export function holdsOf(session: Session): Hold[] {
  const holds: Hold[] = [];
  for (let hold = session.firstHold; hold !== undefined; hold = hold.nextInSession) holds.push(hold);
  return holds;
}
