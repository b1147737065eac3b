import type { HoldReply, Inspection, Reply } from '../../../src/api/operations.ts';
import type { AuditEvent, Effect, EndedEvent, GrantedEvent } from '../../../src/engine/effects.ts';
import type { Step } from '../../../src/engine/state.ts';
import { durationText } from './durations.ts';
import { lockIdOf, ownerText } from './names.ts';
import { lockRecordText, shardRecordText } from './print-records.ts';

/** What one command led to: effects in their order, then replies in theirs. */
export function stepLines(step: Step, sessionName: (sessionId: number) => string): string[] {
  return [
    ...step.effects.map((effect) => effectLine(effect, sessionName)),
    ...step.replies.map((reply, index) => labelled(sessionName(step.recipients[index] as number), replyText(reply))),
  ];
}

function labelled(label: string, text: string): string {
  return `${label.padEnd(6)} ${text}`;
}

function effectLine(effect: Effect, sessionName: (sessionId: number) => string): string {
  switch (effect.kind) {
    case 'persistLock':
      return labelled(
        'write',
        `${effect.attempt} ${lockIdOf(effect.record.key)} over ${effect.version ?? 'none'}: ${lockRecordText(effect.record)}`,
      );
    case 'persistShard':
      return labelled('write', `${effect.attempt} shard: ${shardRecordText(effect.record)}`);
    case 'regressed':
      return labelled(
        'drop',
        `regressed ${lockIdOf(effect.key)}: recorded counter=${effect.recordedCounter}, seen ${effect.seenCounter}`,
      );
    case 'audit':
      return labelled('audit', auditText(effect.event, sessionName));
    case 'count':
  }
  return labelled('count', effect.value === 1 ? effect.metric : `${effect.metric} ${effect.value}`);
}

function auditText(event: AuditEvent, sessionName: (sessionId: number) => string): string {
  const lockId = 'key' in event && event.key !== undefined ? lockIdOf(event.key) : 'shard';
  switch (event.type) {
    case 'granted':
      return grantedText(event);
    case 'reentered':
      return `reentered ${lockId} token=${event.token} depth=${event.depth}`;
    case 'renewed':
      return `renewed ${lockId} token=${event.token}`;
    case 'ended':
      return endedText(event, sessionName);
    case 'queued':
      return `queued ${lockId} ${event.ownerId}${modeText(event)}`;
    case 'waiterLeft':
      return `waiterLeft ${lockId} ${event.ownerId} why=${event.why} waited=${durationText(event.waitedMs)}`;
    case 'overdue':
      return `overdue ${lockId} ${ownerText(event)} token=${event.token}`;
    case 'deadlock': {
      const edges = event.cycle.map((edge) => `${edge.ownerId} waits for ${lockIdOf(edge.waitsFor)} of ${edge.heldBy}`);
      return `deadlock ${edges.join(', ')}; victim=${event.victim ?? 'none'}`;
    }
    case 'reclaimed':
      return `reclaimed ${lockId} ${ownerText(event)} token=${event.token}`;
    case 'reclaimRefused':
      return `reclaimRefused ${lockId} ${ownerText(event)} token=${event.token}: ${event.why}`;
    case 'recordAccepted':
    case 'recordEdited':
    case 'recordDeleted':
    case 'recordRestored':
    case 'recordUnusable':
    case 'recordRefused':
      return `${event.type} ${lockId}: ${event.text ?? 'no text'}`;
    default:
      return `UNPRINTED ${JSON.stringify(event)}`;
  }
}

function grantedText(event: GrantedEvent): string {
  const waited = event.contended ? ` after a wait of ${durationText(event.waitedMs)}` : '';
  const stalled = !event.contended && event.waitedMs > 0 ? ` not queued, waited ${durationText(event.waitedMs)}` : '';
  return `granted ${lockIdOf(event.key)} ${ownerText(event)}${modeText(event)} token=${event.token} ttl=${durationText(event.ttlMs)}${waited}${stalled}`;
}

function endedText(event: EndedEvent, sessionName: (sessionId: number) => string): string {
  const who = event.by === undefined ? '' : ` by=${event.by} "${event.text}"`;
  const told = event.acknowledged ? ` held=${durationText(event.heldForMs)}` : ' never told';
  const session = event.sessionId === 0 ? 'no session' : sessionName(event.sessionId);
  return `ended ${lockIdOf(event.key)} ${ownerText(event)}${modeText(event)} token=${event.token} reason=${event.reason}${who}${told}, ${session}`;
}

function modeText({ mode }: { readonly mode: string }): string {
  return mode === 'exclusive' ? '' : ` ${mode}`;
}

function replyText(reply: Reply): string {
  const ref = `#${reply.ref}`;
  switch (reply.kind) {
    case 'hold':
      return `${ref} hold ${holdText(reply)}`;
    case 'queued':
      return `${ref} queued position=${reply.position}`;
    case 'released':
      return `${ref} released depth=${reply.depth}`;
    case 'done':
      return `${ref} done ended=${reply.ended}`;
    case 'inspection':
      return `${ref} ${inspectionText(reply.inspection)}`;
    case 'error':
  }
  return `${ref} ${reply.code}${detailsText(reply.details)}`;
}

function holdText(hold: HoldReply): string {
  const metadata = hold.metadata === undefined ? '' : ` metadata=${JSON.stringify(hold.metadata)}`;
  return `${lockIdOf(hold.key)} ${hold.ownerId}${modeText(hold)} token=${hold.token} depth=${hold.depth} ttl=${durationText(hold.ttlMs)} remaining=${durationText(hold.remainingMs)} seen=${hold.seen} epoch=${hold.epoch}${metadata}`;
}

/** Details without the lock's own name, which the request had. */
function detailsText(details: Readonly<Record<string, unknown>>): string {
  const shown = Object.entries(details).filter(
    ([name, value]) => name !== 'namespace' && name !== 'lockId' && value !== undefined,
  );
  return shown.map(([name, value]) => ` ${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`).join('');
}

export function inspectionText(inspection: Inspection): string {
  const holders = inspection.holders.map((holder) => {
    const marks = [holder.overdue ? ' overdue' : '', holder.unclaimed ? ' unclaimed' : ''].join('');
    return `${ownerText(holder)}${modeText(holder)} token=${holder.token} depth=${holder.depth} remaining=${durationText(holder.remainingMs)}${marks}`;
  });
  const waiters = inspection.waiters.map((waiter) => `${ownerText(waiter)}${modeText(waiter)}`);
  const delay =
    inspection.lockDelayRemainingMs === 0 ? '' : ` lockDelay=${durationText(inspection.lockDelayRemainingMs)}`;
  return `${lockIdOf(inspection.key)} holders=${inspection.holderCount} [${holders.join(', ')}] waiters=${inspection.waiterCount} [${waiters.join(', ')}]${delay}`;
}
