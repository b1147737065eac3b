import { LIMITS } from '../api/limits.ts';
import { markDirty } from './durable.ts';
import { extend, holdReply, settle } from './grant.ts';
import type { Hold } from './hold.ts';
import type { PendingExtension, ReentryRequest } from './lock.ts';
import { mayWait, refuseEnding } from './refusals.ts';
import type { Session } from './session.ts';
import { extendAfterRecord } from './shard-record.ts';
import type { EngineState } from './state.ts';

/**
 * Extends a hold by `ttlMs` from now and answers `ref`, with one more depth for a re-entry. A promise beyond what is on record
 * is written first: a longer time, or a memory hold that moves to a session whose slot is not there.
 */
export function promiseTime(
  state: EngineState,
  session: Session,
  hold: Hold,
  ref: number,
  ttlMs: number,
  reentry: ReentryRequest | undefined,
  nowMs: number,
): void {
  const { lock } = hold;
  const isRecorded =
    lock.durable === undefined ? session.recorded && ttlMs <= state.shard.graceMs : ttlMs <= hold.recordedTtlMs;
  if (isRecorded) {
    extendFor(state, session, hold, ttlMs, reentry, nowMs);
    state.reply(session.id, holdReply(state, hold, session, ref, hold.depth, nowMs));
    return;
  }
  if (!mayWait(state, session, ref, lock.key)) return;
  const extension: PendingExtension = { kind: 'extension', session, refs: [ref], hold, ttlMs, reentry };
  session.pending.set(ref, extension);
  if (reentry?.requestId !== undefined) session.requests.remember(reentry.requestId, lock.key, extension);
  if (lock.durable === undefined) {
    extendAfterRecord(state, extension);
    return;
  }
  lock.durable.acknowledgements.push(extension);
  markDirty(state, lock);
  settle(state, lock, nowMs);
}

/** The record covers the promise now; if the hold has ended meanwhile, that is the answer. */
export function answerExtension(state: EngineState, extension: PendingExtension, nowMs: number): void {
  const { hold, session, refs, ttlMs, reentry } = extension;
  if (refs.length === 0) return;
  if (hold.ended || hold.contested) {
    refuseExtension(extension, (ref) =>
      state.refuseFor(session.id, ref, 'NOT_HELD', hold.lock.key, { fencingToken: String(hold.token) }),
    );
  } else if (hold.ending) {
    refuseExtension(extension, (ref) => refuseEnding(state, session, ref));
  } else {
    for (const ref of refs) session.pending.delete(ref);
    extendFor(state, session, hold, ttlMs, reentry, nowMs);
    for (const ref of refs) state.reply(session.id, holdReply(state, hold, session, ref, hold.depth, nowMs));
  }
}

/** The promise is not made: `refuse` answers each of its requests, and a repetition starts from nothing. */
export function refuseExtension(extension: PendingExtension, refuse: (ref: number) => void): void {
  const { session, refs, reentry } = extension;
  extension.refs = [];
  for (const ref of refs) {
    session.pending.delete(ref);
    refuse(ref);
  }
  if (reentry?.requestId !== undefined) session.requests.forget(reentry.requestId);
}

function extendFor(
  state: EngineState,
  session: Session,
  hold: Hold,
  ttlMs: number,
  reentry: ReentryRequest | undefined,
  nowMs: number,
): void {
  attach(state, session, hold);
  extend(state, hold, ttlMs, nowMs);
  const { key } = hold.lock;
  if (reentry === undefined) {
    state.audit({ type: 'renewed', key, token: hold.token });
    return;
  }
  hold.depth++;
  if (reentry.requestId !== undefined) session.requests.rememberHold(reentry.requestId, hold, hold.depth);
  state.audit({ type: 'reentered', key, token: hold.token, depth: hold.depth });
}

/**
 * A hold follows the session of its principal that last spoke for it. For a memory hold the caller has made sure that this
 * session is on record.
 */
export function attach(state: EngineState, session: Session, hold: Hold): void {
  const before = hold.session;
  if (before === session || session.holdCount >= LIMITS.holdsPerSessionMax) return;
  before?.removeHold(hold);
  session.addHold(hold);
  if (before !== undefined) state.forgetIfGone(before);
}
