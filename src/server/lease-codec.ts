import { createHash } from 'node:crypto';
import { z } from 'zod';
import { LIMITS, TOKEN_MAX } from '../api/limits.ts';
import { lockIdProblem, lockKey, splitLockKey } from '../api/lock-id.ts';
import { MODES } from '../api/vocabulary.ts';
import type { HolderRecord, LockRecord, Revocation, ShardRecord } from '../engine/records.ts';
import { LEASE_INTEGER_MAX, type Lease, type StoredLease } from '../kube/lease.ts';
import {
  ATTEMPT_ANNOTATION,
  type Advice,
  COUNTER_ANNOTATION,
  FENCE_FLOOR_ANNOTATION,
  GRACE_ANNOTATION,
  HOLDERS_ANNOTATION,
  LOCK_DELAY_ANNOTATION,
  LOCK_LABEL,
  type LeaseCarry,
  type LeaseContent,
  type LeaseWrite,
  REVOCATIONS_ANNOTATION,
  type RecordProblem,
  SHARDS_LABEL,
  SHARD_COUNT_ANNOTATION,
  SHARD_HASH_ANNOTATION,
  SHARD_LABEL,
  SLOTS_ANNOTATION,
  SLOTS_OVERFLOW_ANNOTATION,
  type Undecodable,
  assertChecksum,
  attemptProblem,
  carryOf,
  decimal,
  decoding,
  fault,
  flag,
  foreign,
  integer,
  isIntegerWithin,
  isName,
  json,
  leaseOf,
  text,
  wholeSeconds,
  wrong,
} from './lease-fields.ts';

/**
 * How the engine's records stand on Leases. What the engine relies on is in annotations, covered together by one checksum, so
 * that neither damage nor an edit by hand ever reads as a free lock, a lower counter or a shorter promise: it is a
 * `damaged` result that names the Lease and the field, and the Lease stays as it is until a person decides.
 *
 * `spec` is for people and for readers in the manner of client-go: who, since when, how often it changed. A renewal writes
 * nothing, so `renewTime` is the time of the last write and says nothing about expiry.
 */
export const SHARDS_LEASE_NAME = 'lockkeeper-shards';
/** Bytes of one holder in the holders annotation, so that 256 of them fill half of what a Lease may carry. */
export const HOLDER_BYTES_MAX = 512;
const PRINCIPAL_LENGTH_MAX = 128;
const LEASE_NAME_LENGTH_MAX = 253;

export interface DecodedLock {
  readonly kind: 'lock';
  readonly record: LockRecord;
  readonly version: string;
  readonly carry: LeaseCarry;
}

export interface DecodedShard {
  readonly kind: 'shard';
  readonly shard: number;
  readonly record: ShardRecord;
  /** The incarnation that owns the shard; `undefined` if nobody does. */
  readonly incarnation: string | undefined;
  readonly version: string;
  readonly carry: LeaseCarry;
}

/** How the lock space is cut; recorded once, the same for every replica for ever. */
export interface ShardLayout {
  readonly shardCount: number;
  readonly hashName: string;
  readonly hashVersion: number;
}

export interface DecodedLayout {
  readonly kind: 'layout';
  readonly layout: ShardLayout;
  readonly version: string;
}

/** Name of a lock's Lease, in the lock's namespace. One too long for Kubernetes is cut and made unique by a SHA-256. */
export function lockLeaseName(lockName: string): string {
  const name = `lock-${lockName}`;
  if (name.length <= LEASE_NAME_LENGTH_MAX) return name;
  const digest = createHash('sha256').update(lockName).digest('hex');
  return `${name.slice(0, LEASE_NAME_LENGTH_MAX - digest.length - 1).replace(/[^a-z0-9]+$/, '')}-${digest}`;
}

/** The lock whose Lease has this name; `undefined` if it is none of a DistributedLock, whose names are never cut. */
export function lockIdOfLease(leaseName: string): string | undefined {
  return leaseName.startsWith('lock-') && leaseName.length <= LIMITS.nameLengthMax + 5 ? leaseName.slice(5) : undefined;
}

/** Name of a shard's Lease, in the operator's namespace. */
export function shardLeaseName(shard: number): string {
  return `lockkeeper-shard-${shard}`;
}

/**
 * The Lease of a lock's record. Times are recorded in whole seconds, rounded up. Throws RangeError for a record beyond its
 * bounds, which the engine never makes.
 */
export function encodeLockLease(record: LockRecord, write: LeaseWrite): Lease {
  const { namespace, lockId } = splitLockKey(record.key);
  const identity = { namespace, name: lockLeaseName(lockId) };
  const problem = lockNameProblem(lockId) ?? lockRecordProblem(record);
  if (problem !== undefined)
    throw new RangeError(`The record of the lock ${record.key} cannot be written: ${problem.reason}.`);
  const annotations = {
    [COUNTER_ANNOTATION]: String(record.counter),
    [FENCE_FLOOR_ANNOTATION]: String(record.fenceFloor),
    [HOLDERS_ANNOTATION]: `[${record.holders.map(encodeHolder).join(',')}]`,
    [LOCK_DELAY_ANNOTATION]: String(wholeSeconds(record.lockDelayMs)),
    [ATTEMPT_ANNOTATION]: record.attempt,
  };
  return leaseOf(
    identity,
    { label: { [LOCK_LABEL]: lockId }, annotations, spec: lockSpec(record, write.carry), sealed: [] },
    write,
  );
}

/** What readers in the manner of client-go look at: the first holder, the longest time to live, how often the holder changed. */
export function lockSpec({ holders }: LockRecord, carry: LeaseCarry | undefined): LeaseContent['spec'] {
  const [first] = holders;
  const holderIdentity = first && `${first.principal}/${first.ownerId}`;
  const changes = carry !== undefined && first !== undefined && holderIdentity !== carry.holderIdentity ? 1 : 0;
  return {
    holderIdentity,
    // A lock changes hands without end, a 32-bit integer does not: at its end it stands still.
    leaseTransitions: Math.min(LEASE_INTEGER_MAX, (carry?.leaseTransitions ?? 0) + changes),
    leaseDurationSeconds: Math.max(1, ...holders.map(({ ttlMs }) => wholeSeconds(ttlMs))),
  };
}

/** Reads a lock's record. Every field is checked; see the head of this file for what a `damaged` result promises. */
export function decodeLockLease(lease: StoredLease): DecodedLock | Undecodable {
  const lockName = lease.metadata.labels?.[LOCK_LABEL];
  if (lockName === undefined) return foreign(lease);
  return decoding(lease, lockAdvice, () => {
    if (lockNameProblem(lockName) !== undefined || lease.metadata.name !== lockLeaseName(lockName))
      throw fault('inconsistent', LOCK_LABEL, `it names the lock "${lockName}", whose Lease has another name`);
    const record: LockRecord = {
      key: lockKey(lease.metadata.namespace, lockName),
      counter: integer(lease, COUNTER_ANNOTATION, 0, TOKEN_MAX),
      fenceFloor: integer(lease, FENCE_FLOOR_ANNOTATION, 1, TOKEN_MAX + 1),
      holders: decodeHolders(lease),
      lockDelayMs: integer(lease, LOCK_DELAY_ANNOTATION, 0, LIMITS.lockDelayMsMax / 1000) * 1000,
      attempt: text(lease, ATTEMPT_ANNOTATION),
    };
    const problem = lockRecordProblem(record);
    if (problem !== undefined) throw fault('inconsistent', problem.field, problem.reason);
    assertChecksum(lease, LOCK_ANNOTATIONS);
    return { kind: 'lock', record, version: lease.metadata.resourceVersion, carry: carryOf(lease) };
  });
}

const LOCK_ANNOTATIONS = [
  COUNTER_ANNOTATION,
  FENCE_FLOOR_ANNOTATION,
  HOLDERS_ANNOTATION,
  LOCK_DELAY_ANNOTATION,
  ATTEMPT_ANNOTATION,
];

const holdersSchema = z.array(
  z.object({
    principal: z.string(),
    ownerId: z.string(),
    mode: z.enum(MODES),
    token: z.string(),
    ttlSeconds: z
      .int()
      .min(1)
      .max(LIMITS.ttlMsMax / 1000),
  }),
);

function encodeHolder({ principal, ownerId, mode, token, ttlMs }: HolderRecord): string {
  return JSON.stringify({ principal, ownerId, mode, token: String(token), ttlSeconds: wholeSeconds(ttlMs) });
}

function decodeHolders(lease: StoredLease): HolderRecord[] {
  return json(lease, HOLDERS_ANNOTATION, holdersSchema).map(({ token, ttlSeconds, ...holder }) => ({
    ...holder,
    token: decimal(HOLDERS_ANNOTATION, token, 1, TOKEN_MAX),
    ttlMs: ttlSeconds * 1000,
  }));
}

function lockNameProblem(lockName: string): RecordProblem | undefined {
  const problem = lockName.includes('/') ? 'a key of a pool has no Lease' : lockIdProblem(lockName);
  return problem === undefined ? undefined : wrong(LOCK_LABEL, problem);
}

function lockRecordProblem({
  counter,
  fenceFloor,
  holders,
  lockDelayMs,
  attempt,
}: LockRecord): RecordProblem | undefined {
  const tokens = new Set(holders.map(({ token }) => token));
  if (!isIntegerWithin(counter, 0, TOKEN_MAX))
    return wrong(COUNTER_ANNOTATION, `the counter ${counter} is out of bounds`);
  if (!isIntegerWithin(fenceFloor, 1, counter + 1))
    return wrong(
      FENCE_FLOOR_ANNOTATION,
      `the fence floor ${fenceFloor} is above the counter ${counter} + 1, or below 1`,
    );
  if (holders.length > LIMITS.durableHoldersMax)
    return wrong(HOLDERS_ANNOTATION, `${holders.length} holders are more than ${LIMITS.durableHoldersMax}`);
  if (tokens.size !== holders.length) return wrong(HOLDERS_ANNOTATION, 'two holders have one token');
  for (const holder of holders) {
    if (!isIntegerWithin(holder.token, fenceFloor, counter))
      return wrong(
        HOLDERS_ANNOTATION,
        `the token ${holder.token} of a holder is not between the fence floor ${fenceFloor} and the counter ${counter}`,
      );
    if (!isName(holder.principal, PRINCIPAL_LENGTH_MAX) || !isName(holder.ownerId, LIMITS.ownerIdLengthMax))
      return wrong(
        HOLDERS_ANNOTATION,
        `the names of the holder with the token ${holder.token} are not printable ASCII of 1 to 128 characters`,
      );
    if (!(holder.ttlMs > 0 && holder.ttlMs <= LIMITS.ttlMsMax))
      return wrong(
        HOLDERS_ANNOTATION,
        `the time to live of the holder with the token ${holder.token} is out of bounds`,
      );
    if (encodeHolder(holder).length > HOLDER_BYTES_MAX)
      return wrong(
        HOLDERS_ANNOTATION,
        `the record of the holder with the token ${holder.token} is longer than ${HOLDER_BYTES_MAX} bytes`,
      );
  }
  if (!(lockDelayMs >= 0 && lockDelayMs <= LIMITS.lockDelayMsMax))
    return wrong(LOCK_DELAY_ANNOTATION, `the lock delay ${lockDelayMs} ms is out of bounds`);
  return attemptProblem(attempt);
}

/** Who owns a shard, and where its Lease is. */
export interface ShardOwner {
  /** The operator's namespace. */
  readonly namespace: string;
  readonly shard: number;
  /** `undefined`: nobody. */
  readonly incarnation: string | undefined;
}

/**
 * The Lease of a shard's record. Several revocations of one key are one with the highest floor. Throws RangeError for a
 * record beyond its bounds, which the engine never makes.
 */
export function encodeShardLease(given: ShardRecord, owner: ShardOwner, write: LeaseWrite): Lease {
  const identity = { namespace: owner.namespace, name: shardLeaseName(owner.shard) };
  const record = { ...given, revocations: mergeRevocations(given.revocations) };
  const problem = shardRecordProblem(record);
  if (problem !== undefined)
    throw new RangeError(`The record of shard ${owner.shard} cannot be written: ${problem.reason}.`);
  const annotations = {
    [COUNTER_ANNOTATION]: String(record.counter),
    [GRACE_ANNOTATION]: String(wholeSeconds(record.graceMs)),
    [SLOTS_ANNOTATION]: encodeSlots(record.slots),
    [SLOTS_OVERFLOW_ANNOTATION]: String(record.slotsOverflow),
    [REVOCATIONS_ANNOTATION]: JSON.stringify(record.revocations.map(({ key, floor }) => [key, String(floor)])),
    [ATTEMPT_ANNOTATION]: record.attempt,
  };
  const spec = { holderIdentity: owner.incarnation, leaseTransitions: record.epoch };
  const sealed = sealOf(owner.incarnation, record.epoch);
  return leaseOf(identity, { label: { [SHARD_LABEL]: String(owner.shard) }, annotations, spec, sealed }, write);
}

function sealOf(incarnation: string | undefined, epoch: number): string[] {
  return [incarnation ?? '', String(epoch)];
}

const SHARD_ANNOTATIONS = [
  COUNTER_ANNOTATION,
  GRACE_ANNOTATION,
  SLOTS_ANNOTATION,
  SLOTS_OVERFLOW_ANNOTATION,
  REVOCATIONS_ANNOTATION,
  ATTEMPT_ANNOTATION,
];

/** Reads a shard's record and its owner. */
export function decodeShardLease(lease: StoredLease): DecodedShard | Undecodable {
  const label = lease.metadata.labels?.[SHARD_LABEL];
  if (label === undefined) return foreign(lease);
  return decoding(lease, shardAdvice, () => {
    const shard = decimal(SHARD_LABEL, label, 0, LEASE_INTEGER_MAX);
    if (lease.metadata.name !== shardLeaseName(shard))
      throw fault('inconsistent', SHARD_LABEL, `it names the shard ${shard}, whose Lease has another name`);
    const { leaseTransitions: epoch } = lease.spec;
    if (epoch === undefined) throw fault('missing', 'spec.leaseTransitions', 'it is not there');
    const record: ShardRecord = {
      epoch,
      counter: integer(lease, COUNTER_ANNOTATION, 0, TOKEN_MAX),
      graceMs: integer(lease, GRACE_ANNOTATION, 0, LIMITS.ttlMsMax / 1000) * 1000,
      slots: decodeSlots(text(lease, SLOTS_ANNOTATION)),
      slotsOverflow: flag(lease, SLOTS_OVERFLOW_ANNOTATION),
      revocations: decodeRevocations(lease),
      attempt: text(lease, ATTEMPT_ANNOTATION),
    };
    const problem = shardRecordProblem(record);
    if (problem !== undefined) throw fault('inconsistent', problem.field, problem.reason);
    const carry = carryOf(lease);
    const incarnation = carry.holderIdentity;
    assertChecksum(lease, SHARD_ANNOTATIONS, sealOf(incarnation, epoch));
    return { kind: 'shard', shard, record, incarnation, version: lease.metadata.resourceVersion, carry };
  });
}

function shardRecordProblem({
  epoch,
  counter,
  graceMs,
  slots,
  revocations,
  attempt,
}: ShardRecord): RecordProblem | undefined {
  if (!isIntegerWithin(epoch, 0, LEASE_INTEGER_MAX))
    return wrong('spec.leaseTransitions', `the epoch ${epoch} is out of bounds`);
  if (!isIntegerWithin(counter, 0, TOKEN_MAX))
    return wrong(COUNTER_ANNOTATION, `the counter ${counter} is out of bounds`);
  if (!(graceMs >= 0 && graceMs <= LIMITS.ttlMsMax))
    return wrong(GRACE_ANNOTATION, `the grace of ${graceMs} ms is out of bounds`);
  const ascending = slots.every((slot, index) =>
    isIntegerWithin(slot, index === 0 ? 0 : (slots[index - 1] ?? 0) + 1, LIMITS.sessionSlotsMax - 1),
  );
  if (!ascending) return wrong(SLOTS_ANNOTATION, `the slots are not ascending numbers below ${LIMITS.sessionSlotsMax}`);
  if (revocations.length > LIMITS.revocationsPerShardMax)
    return wrong(
      REVOCATIONS_ANNOTATION,
      `${revocations.length} revocations are more than ${LIMITS.revocationsPerShardMax}`,
    );
  if (new Set(revocations.map(({ key }) => key)).size !== revocations.length)
    return wrong(REVOCATIONS_ANNOTATION, 'one key is revoked twice');
  for (const { key, floor } of revocations) {
    const { namespace, lockId } = splitLockKey(key);
    if (!key.startsWith(`${namespace}/`) || lockIdProblem(lockId) !== undefined)
      return wrong(REVOCATIONS_ANNOTATION, `"${key}" is no key of a lock`);
    if (!isIntegerWithin(floor, 0, TOKEN_MAX))
      return wrong(REVOCATIONS_ANNOTATION, `the floor ${floor} of ${key} is out of bounds`);
  }
  return attemptProblem(attempt);
}

/** Base64 of a bitmap: slot n is bit n mod 8 (1, 2, 4 ...) of byte n / 8; zero bytes at the end are cut. At most 2,732 characters. */
function encodeSlots(slots: readonly number[]): string {
  const bytes = Buffer.alloc(((slots.at(-1) ?? -1) >> 3) + 1);
  for (const slot of slots) bytes[slot >> 3] = (bytes[slot >> 3] ?? 0) | (1 << (slot & 7));
  return bytes.toString('base64');
}

function decodeSlots(value: string): number[] {
  const bytes = Buffer.from(value, 'base64');
  if (bytes.toString('base64') !== value || bytes.at(-1) === 0)
    throw fault('malformed', SLOTS_ANNOTATION, 'it is no base64 of a bitmap without zero bytes at its end');
  if (bytes.length * 8 > LIMITS.sessionSlotsMax)
    throw fault(
      'outOfBounds',
      SLOTS_ANNOTATION,
      `it has ${bytes.length * 8} bits, more than ${LIMITS.sessionSlotsMax}`,
    );
  const slots: number[] = [];
  for (const [index, byte] of bytes.entries()) {
    for (let bit = 0; bit < 8; bit += 1) if ((byte & (1 << bit)) !== 0) slots.push(index * 8 + bit);
  }
  return slots;
}

/** Several revocations of one key are one, with the highest floor. */
export function mergeRevocations(revocations: readonly Revocation[]): Revocation[] {
  const floors = new Map<string, number>();
  for (const { key, floor } of revocations) floors.set(key, Math.max(floor, floors.get(key) ?? 0));
  return [...floors].map(([key, floor]) => ({ key, floor }));
}

const revocationsSchema = z.array(z.tuple([z.string(), z.string()]));

function decodeRevocations(lease: StoredLease): Revocation[] {
  return json(lease, REVOCATIONS_ANNOTATION, revocationsSchema).map(([key, floor]) => ({
    key,
    floor: decimal(REVOCATIONS_ANNOTATION, floor, 0, TOKEN_MAX),
  }));
}

/** The Lease that records the layout, to be created once and never updated. */
export function encodeShardsLease(layout: ShardLayout, namespace: string, wallMs: number): Lease {
  const identity = { namespace, name: SHARDS_LEASE_NAME };
  const annotations = {
    [SHARD_COUNT_ANNOTATION]: String(layout.shardCount),
    [SHARD_HASH_ANNOTATION]: hashText(layout),
  };
  if (!isIntegerWithin(layout.shardCount, 1, LEASE_INTEGER_MAX) || !HASH.test(hashText(layout)))
    throw new RangeError('The shard layout is out of bounds.');
  const write = { wallMs, resourceVersion: undefined, carry: undefined };
  return leaseOf(identity, { label: { [SHARDS_LABEL]: 'layout' }, annotations, spec: {}, sealed: [] }, write);
}

const HASH = /^([a-z0-9]+(?:-[a-z0-9]+)*)\/v([1-9]\d{0,5})$/;

export function decodeShardsLease(lease: StoredLease): DecodedLayout | Undecodable {
  if (lease.metadata.labels?.[SHARDS_LABEL] === undefined) return foreign(lease);
  return decoding(lease, layoutAdvice, () => {
    const shardCount = integer(lease, SHARD_COUNT_ANNOTATION, 1, LEASE_INTEGER_MAX);
    const [, hashName, hashVersion] = HASH.exec(text(lease, SHARD_HASH_ANNOTATION)) ?? [];
    if (hashName === undefined) throw fault('malformed', SHARD_HASH_ANNOTATION, 'it is not of the form name/v1');
    assertChecksum(lease, [SHARD_COUNT_ANNOTATION, SHARD_HASH_ANNOTATION]);
    return {
      kind: 'layout',
      layout: { shardCount, hashName, hashVersion: Number(hashVersion) },
      version: lease.metadata.resourceVersion,
    };
  });
}

function hashText({ hashName, hashVersion }: ShardLayout): string {
  return `${hashName}/v${hashVersion}`;
}

/** Why a process with the layout `own` must not serve an installation with the layout `recorded`; `undefined` if it may. */
export function shardLayoutRefusal(recorded: ShardLayout, own: ShardLayout): string | undefined {
  if (recorded.shardCount !== own.shardCount) {
    return (
      `This process is set to ${own.shardCount} shards, but the installation has ${recorded.shardCount}, as its Lease ${SHARDS_LEASE_NAME} records. ` +
      `Two settings would give one lock two owners, so it does not serve: set the number of shards to ${recorded.shardCount}. It never changes in the life of an installation.`
    );
  }
  if (hashText(recorded) === hashText(own)) return undefined;
  return (
    `This process places locks by the hash ${hashText(own)}, but the installation by ${hashText(recorded)}, as its Lease ${SHARDS_LEASE_NAME} records. ` +
    'Two hashes would give one lock two owners, so it does not serve: run the version of Lockkeeper that made the installation.'
  );
}

const lockAdvice: Advice = ({ metadata }) =>
  `The lock is not granted until this is decided by a person: once nobody works under it, delete the Lease (kubectl -n ${metadata.namespace} delete lease ${metadata.name}); its tokens then go on above the wall clock.`;
const shardAdvice: Advice = ({ metadata }) =>
  `The shard is not served until this is decided by a person: once nobody works under a lock of a pool, delete the Lease (kubectl -n ${metadata.namespace} delete lease ${metadata.name}); tokens then go on above the wall clock.`;
const layoutAdvice: Advice = ({ metadata }) =>
  `No replica serves until this is decided by a person: restore the Lease from a backup; or stop every replica, delete it (kubectl -n ${metadata.namespace} delete lease ${metadata.name}) and start them with the number of shards the installation always had.`;
