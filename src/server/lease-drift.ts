import { splitLockKey } from '../api/lock-id.ts';
import type { FoundLease } from '../engine/commands.ts';
import type { KnownLease } from '../engine/engine.ts';
import type { StoredLease } from '../kube/lease.ts';
import { isNewer } from '../kube/list-watch.ts';
import { decodeLockLease, decodeShardLease, lockSpec } from './lease-codec.ts';
import {
  ATTEMPT_ANNOTATION,
  carryOf,
  LOCK_LABEL,
  type LeaseCarry,
  MANAGED_BY,
  MANAGED_BY_LABEL,
  SHARD_LABEL,
} from './lease-fields.ts';

/**
 * What it means that a Lease is not as this owner last wrote it. Pure: from what was seen and what is known. The table in
 * docs/operations.md ("Hands on the Leases") says the same for people.
 */

/**
 * Whether what a watch shows can only be somebody else's doing. Events lag behind the replies to the writes they are of, or come
 * before them: while a write is under way nothing is a surprise, and what is older than known is none. `seenVersion` is
 * `undefined` for a Lease that went away.
 */
export function isSurprise(seenVersion: string | undefined, known: KnownLease): boolean {
  if (!known.settled) return false;
  if (seenVersion === undefined) return known.version !== undefined;
  return known.version === undefined || isNewer(seenVersion, known.version);
}

export interface FoundLock {
  readonly found: FoundLease;
  /** What the next write of the Lease takes over from it. */
  readonly carry: LeaseCarry | undefined;
}

/**
 * What stands on a lock's Lease, from a consistent read. `carry` is what this process last wrote or read there, and makes the
 * difference between our own Lease without its label and somebody else's: the same object or another one.
 */
export function foundLock(
  lease: StoredLease | undefined,
  key: string,
  carry: LeaseCarry | undefined,
  lastAttempt: string | undefined,
): FoundLock {
  if (lease === undefined) return { found: { kind: 'gone' }, carry };
  let decoded = decodeLockLease(lease);
  let missing: string | undefined;
  if (decoded.kind === 'foreign' && carry !== undefined && lease.metadata.uid === carry.uid) {
    missing = LOCK_LABEL;
    const labels = { ...lease.metadata.labels, [LOCK_LABEL]: splitLockKey(key).lockId };
    decoded = decodeLockLease({ ...lease, metadata: { ...lease.metadata, labels } });
  }
  if (decoded.kind === 'foreign') {
    const text = `The Lease ${decoded.lease} belongs to somebody else; rename the lock or remove that Lease.`;
    return { found: { kind: 'unusable', text }, carry };
  }
  const repaired = keepSpec(carryOf(lease), carry);
  if (decoded.kind === 'damaged')
    return { found: { kind: 'damaged', version: decoded.version, text: decoded.problem.message }, carry: repaired };
  const { record, version } = decoded;
  const astray = missing ?? strayField(lease, lockSpec(record, undefined), lastAttempt, carry);
  const text = astray && `${astray} was changed`;
  return {
    found: { kind: 'record', stored: { record, version }, astray: text },
    carry: astray === undefined ? decoded.carry : repaired,
  };
}

/** Labels and annotations of others as they are now, what is told to people as we last told it. */
function keepSpec(found: LeaseCarry, known: LeaseCarry | undefined): LeaseCarry {
  if (known === undefined) return found;
  const { holderIdentity, acquireTime, leaseTransitions } = known;
  return { ...found, holderIdentity, acquireTime, leaseTransitions };
}

/** The first field around the record that is not as an owner writes it. `renewTime` is not looked at: nothing relies on it. */
function strayField(
  { metadata, spec }: StoredLease,
  expected: ReturnType<typeof lockSpec>,
  lastAttempt: string | undefined,
  carry: LeaseCarry | undefined,
): string | undefined {
  if (metadata.labels?.[MANAGED_BY_LABEL] !== MANAGED_BY) return MANAGED_BY_LABEL;
  if ((spec.holderIdentity ?? '') !== (expected.holderIdentity ?? '')) return 'spec.holderIdentity';
  if (spec.leaseDurationSeconds !== expected.leaseDurationSeconds) return 'spec.leaseDurationSeconds';
  if (carry === undefined || metadata.annotations?.[ATTEMPT_ANNOTATION] !== lastAttempt) return undefined;
  if (spec.acquireTime !== carry.acquireTime) return 'spec.acquireTime';
  return (spec.leaseTransitions ?? 0) === carry.leaseTransitions ? undefined : 'spec.leaseTransitions';
}

/** A shard's Lease as its owner last saw it. */
export interface OwnedShardLease {
  readonly incarnation: string;
  readonly epoch: number;
  /** `undefined` once it was found missing. */
  version: string | undefined;
  carry: LeaseCarry;
  /** The write that landed last, and those of unknown outcome since: any other one there is not from this reign's end. */
  attempts: readonly string[];
  /** Whether a write is under way. */
  writing: boolean;
}

/**
 * - `ours`: written by this reign, by the named attempt.
 * - `repair`: changed or deleted by hand; it names nobody else, so it is still ours to write.
 * - `restored`: a record of this reign that a later one had replaced. `lost`: another reign's, or somebody else's Lease.
 */
export type ShardDrift =
  | { readonly kind: 'ours'; readonly attempt: string; readonly version: string; readonly carry: LeaseCarry }
  | {
      readonly kind: 'repair';
      readonly change: 'recordEdited' | 'recordDeleted';
      readonly version: string | undefined;
      readonly carry: LeaseCarry;
      readonly text: string;
    }
  | { readonly kind: 'restored' | 'lost' };

/** What stands on the Lease of a shard that this process owns, from a consistent read. */
export function shardDrift(lease: StoredLease | undefined, shard: number, owned: OwnedShardLease): ShardDrift {
  const { incarnation, epoch, carry } = owned;
  if (lease === undefined) {
    const text = `the Lease of shard ${shard} was deleted`;
    return { kind: 'repair', change: 'recordDeleted', version: undefined, carry, text };
  }
  const decoded = decodeShardLease(lease);
  if (decoded.kind === 'shard') {
    if (decoded.incarnation !== incarnation || decoded.record.epoch !== epoch) return { kind: 'lost' };
    const { attempt } = decoded.record;
    if (!owned.attempts.includes(attempt)) return { kind: 'restored' };
    return { kind: 'ours', attempt, version: decoded.version, carry: decoded.carry };
  }
  if (decoded.kind === 'foreign' && lease.metadata.uid !== carry.uid) return { kind: 'lost' };
  return {
    kind: 'repair',
    change: 'recordEdited',
    version: lease.metadata.resourceVersion,
    carry: keepSpec(carryOf(lease), carry),
    text: decoded.kind === 'damaged' ? decoded.problem.message : `the label ${SHARD_LABEL} was removed`,
  };
}
