import type {
  HoldSnapshot,
  LockRecord,
  ShardRecord,
  ShardSnapshot,
  WaiterSnapshot,
} from '../../../src/engine/records.ts';
import { durationText } from './durations.ts';
import { lockIdOf, ownerText } from './names.ts';

/** A lock's record in short form. */
export function lockRecordText(record: LockRecord): string {
  const holders = record.holders.map(
    (holder) => `${ownerText(holder)}${modeText(holder.mode)} token=${holder.token} ${durationText(holder.ttlMs)}`,
  );
  const delay = record.lockDelayMs === 0 ? '' : ` lockDelay=${durationText(record.lockDelayMs)}`;
  return `counter=${record.counter} floor=${record.fenceFloor} ${holders.length === 0 ? 'free' : `[${holders.join(', ')}]`}${delay}${unknownFields(record, LOCK_FIELDS)}`;
}

/** A shard's record in short form. */
export function shardRecordText(record: ShardRecord): string {
  const revoked = record.revocations.map(({ key, floor, ...rest }) => {
    const extra = Object.keys(rest).length === 0 ? '' : ` ${JSON.stringify(rest)}`;
    return `${lockIdOf(key)} up to ${floor}${extra}`;
  });
  return `epoch=${record.epoch} counter=${record.counter} grace=${durationText(record.graceMs)} slots=[${record.slots.join(' ')}]${record.slotsOverflow ? ' overflow' : ''}${revoked.length === 0 ? '' : ` revoked=[${revoked.join(', ')}]`}${unknownFields(record, SHARD_FIELDS)}`;
}

const LOCK_FIELDS = ['key', 'counter', 'fenceFloor', 'holders', 'lockDelayMs', 'attempt'];
const SHARD_FIELDS = ['epoch', 'counter', 'graceMs', 'slots', 'slotsOverflow', 'revocations', 'attempt'];

/** A field that these printers do not know is shown as it is, so that nothing written stays unseen. */
function unknownFields(record: object, known: readonly string[]): string {
  const unknown = Object.entries(record).filter(([name, value]) => !known.includes(name) && value !== undefined);
  return unknown.map(([name, value]) => ` ${name}=${JSON.stringify(value)}`).join('');
}

/** Everything that moves in a hand-over, one line for each lock, hold, waiter and lock delay. */
export function snapshotLines(snapshot: ShardSnapshot): string[] {
  const lines = [
    `format=${snapshot.format} shard=${snapshot.shard} counter=${snapshot.counter} grace=${durationText(snapshot.graceMs)} slots=[${snapshot.slots.join(' ')}]${snapshot.slotsOverflow ? ' overflow' : ''}${snapshot.revocations.length === 0 ? '' : ` revoked=${snapshot.revocations.map(({ key, floor }) => `${lockIdOf(key)} up to ${floor}`).join(', ')}`}`,
  ];
  for (const lock of snapshot.locks) {
    const { durable } = lock;
    const lease =
      durable === undefined
        ? ''
        : ` counter=${durable.counter} version=${durable.version ?? 'none'}${durable.dirty ? ' dirty' : ''}`;
    lines.push(`${lockIdOf(lock.key)}${lease} lastPhase=${lock.lastPhase}`);
    for (const hold of lock.holds) lines.push(`  hold ${movedHoldText(hold)}`);
    for (const waiter of lock.waiters) lines.push(`  waiter ${movedWaiterText(waiter)}`);
    for (const delay of lock.lockDelays)
      lines.push(`  lockDelay ${delay.mode} remaining=${durationText(delay.remainingMs)}`);
  }
  return lines;
}

function movedHoldText(hold: HoldSnapshot): string {
  const maxHold = hold.maxHoldRemainingMs === undefined ? '' : ` maxHold=${durationText(hold.maxHoldRemainingMs)}`;
  const marks = [
    hold.overdue ? ' overdue' : '',
    hold.contested ? ' contested' : '',
    hold.unclaimed ? ' unclaimed' : '',
  ].join('');
  const requests = hold.requestIds.length === 0 ? '' : ` requests=[${hold.requestIds.join(' ')}]`;
  return `${ownerText(hold)}${modeText(hold.mode)} token=${hold.token} depth=${hold.depth} remaining=${durationText(hold.remainingMs)} recorded=${durationText(hold.recordedTtlMs)} held=${durationText(hold.heldForMs)}${maxHold} session=${hold.sessionId} slot=${hold.slot}${requests}${marks}`;
}

function movedWaiterText(waiter: WaiterSnapshot): string {
  const timeout = waiter.timeoutRemainingMs === undefined ? 'never' : durationText(waiter.timeoutRemainingMs);
  return `${ownerText(waiter)}${modeText(waiter.mode)} ttl=${durationText(waiter.ttlMs)} waited=${durationText(waiter.waitedMs)} timeout=${timeout} request=${waiter.requestId} session=${waiter.sessionId}`;
}

function modeText(mode: string): string {
  return mode === 'exclusive' ? '' : ` ${mode}`;
}
