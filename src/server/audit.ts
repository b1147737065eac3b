import type { LostPush } from '../api/operations.ts';
import type { EndReason } from '../api/vocabulary.ts';
import type { AuditEvent } from '../engine/effects.ts';
import type { Log } from '../system/logger.ts';

/** Ends that a holder did not ask for, and must hear of. */
const TOLD: readonly EndReason[] = ['expired', 'maxHold', 'forceReleased', 'orphaned', 'conflict'];

/** What the session of an ended hold is told; `undefined` if it asked for the end itself or never knew the hold. */
export function lostPushOf(event: AuditEvent, epoch: number): LostPush | undefined {
  if (event.type !== 'ended' || !event.acknowledged || event.sessionId === 0 || !TOLD.includes(event.reason))
    return undefined;
  const { key, token, ownerId, reason } = event;
  return { kind: 'lost', key, token, ownerId, reason, epoch };
}

/** One line for what a person must be able to find later. Grants, renewals, releases and expiries are metrics, never lines. */
export function logAudit(log: Log, event: AuditEvent): void {
  switch (event.type) {
    case 'ended':
      if (event.reason !== 'forceReleased' && event.reason !== 'orphaned') return;
      log.warn({ audit: readable(event) }, 'a hold was ended by force');
      return;
    case 'overdue':
      log.warn({ audit: readable(event) }, 'a hold is past its time to live and stays, since expiryPolicy is Alert');
      return;
    case 'deadlock':
      log.warn({ audit: readable(event) }, 'a deadlock was found');
      return;
    case 'reclaimRefused':
      log.warn({ audit: readable(event) }, 'a reclaim was refused');
      return;
    case 'recordEdited':
    case 'recordDeleted':
      log.warn({ audit: readable(event) }, 'a lease was changed by somebody else');
      return;
    case 'recordRestored':
      log.error({ audit: readable(event) }, 'a lease went back to an earlier state; no token is given out again');
      return;
    case 'recordUnusable':
      log.error({ audit: readable(event) }, 'the lease of a lock cannot be used; the lock is not granted');
      return;
    case 'recordRefused':
      log.error({ audit: readable(event) }, 'the store refuses to write a lease');
      return;
    case 'granted':
    case 'queued':
    case 'reclaimed':
    case 'reentered':
    case 'renewed':
    case 'recordAccepted':
    case 'waiterLeft':
  }
}

/** A fencing token is no secret, and a log that hides what is called a token would hide it. */
function readable(event: AuditEvent): object {
  if (!('token' in event)) return event;
  const { token, ...rest } = event;
  return { ...rest, fencingToken: String(token) };
}
