import { splitLockKey } from '../api/lock-id.ts';
import type { AuditEvent, DeadlockEdge, EndedEvent } from '../engine/effects.ts';
import type { EventToTell } from './events.ts';

/** Holders named in one message; the rest is a number. */
const NAMES_SHOWN = 5;

/**
 * The Event that tells people of an audit event; `undefined` for what is routine (grants, releases, renewals, queues) and for
 * forced ends, of which several make one Event.
 */
export function eventOf(event: AuditEvent): EventToTell | undefined {
  switch (event.type) {
    case 'ended':
      return endedEvent(event);
    case 'overdue':
      return {
        reason: 'Overdue',
        message: `${who(event)} is past its time to live and stays, since expiryPolicy is Alert (token ${event.token}). Force-release the lock once nobody works under it.`,
      };
    case 'deadlock':
      return event.victim === undefined
        ? { reason: 'DeadlockFound', message: describeCycle(event.cycle) }
        : {
            reason: 'DeadlockBroken',
            message: `The acquire of ${event.victim} was refused with DEADLOCK, since deadlockPolicy is Break. ${describeCycle(event.cycle)}`,
          };
    case 'reclaimRefused':
      return {
        reason: 'ReclaimRefused',
        message: `${who(event)} claimed a hold with token ${event.token} and was refused: ${event.why ?? 'it has no right to it'}.`,
      };
    case 'recordRefused':
      return { reason: 'StoreRefused', message: `The Lease cannot be written: ${event.text ?? 'no reason given'}` };
    case 'recordEdited':
      return {
        reason: 'LeaseUnusable',
        message: `Somebody else wrote the lock's Lease (${event.text ?? 'what was changed is not known'}). No hold was forgotten; tokens go on above every one known.`,
      };
    case 'recordDeleted':
      return {
        reason: 'LeaseUnusable',
        message: `Somebody deleted the lock's Lease. It is written anew from what is known; tokens go on above every one known.`,
      };
    case 'recordRestored':
      return {
        reason: 'LeaseRestored',
        message: `The lock's Lease went back to an earlier state (${event.text ?? 'a restored backup'}). The lock is taken over anew; holds that are known live on, tokens go on above every one known.`,
      };
    case 'recordUnusable':
      return {
        reason: 'LeaseUnusable',
        message: `The lock is not granted: ${event.text ?? 'its Lease cannot be used'}`,
      };
    case 'granted':
    case 'reentered':
    case 'renewed':
    case 'queued':
    case 'waiterLeft':
    case 'reclaimed':
    case 'recordAccepted':
  }
  return undefined;
}

function endedEvent(event: EndedEvent): EventToTell | undefined {
  if (!event.acknowledged) return undefined;
  switch (event.reason) {
    case 'expired':
      return {
        reason: 'Expired',
        message: `${who(event)} stopped renewing; its hold ran out after ${seconds(event.heldForMs)} (token ${event.token}).`,
      };
    case 'maxHold':
      return {
        reason: 'MaxHoldReached',
        message: `${who(event)} held for ${seconds(event.heldForMs)}, the longest that maxHoldSeconds allows (token ${event.token}).`,
      };
    case 'orphaned':
      return {
        reason: 'Orphaned',
        message: `The containers of ${event.principal} have ended; the hold of ${event.ownerId} was released (token ${event.token}).`,
      };
    case 'released':
    case 'forceReleased':
    case 'goodbye':
    case 'disowned':
    case 'conflict':
    case 'storeRefused':
  }
  return undefined;
}

/** One Event for all the holds that one force release ended. */
export function forceReleasedEvent(ended: readonly EndedEvent[]): EventToTell {
  const [first] = ended;
  const names = ended.slice(0, NAMES_SHOWN).map((event) => `${who(event)} (token ${event.token})`);
  const rest = ended.length > NAMES_SHOWN ? ` and ${ended.length - NAMES_SHOWN} more` : '';
  return {
    reason: 'ForceReleased',
    message: `${first?.by ?? 'An administrator'} force-released the lock: ${first?.text ?? 'no reason given'}. ${names.join(', ')}${rest} lost it.`,
  };
}

/** Names every owner of the circle, what it waits for and who has it. */
export function describeCycle(cycle: readonly DeadlockEdge[]): string {
  const edges = cycle.map(
    (edge) => `${who(edge)} waits for ${splitLockKey(edge.waitsFor).lockId}, held by ${edge.heldBy}`,
  );
  return `Owners wait for each other in a circle: ${edges.join('; ')}.`;
}

function who({ principal, ownerId }: { readonly principal: string; readonly ownerId: string }): string {
  return `${principal}/${ownerId}`;
}

function seconds(durationMs: number): string {
  return `${(durationMs / 1000).toFixed(1)} s`;
}
