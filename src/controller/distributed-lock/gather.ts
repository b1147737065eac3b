import { distributedLockSchema, distributedLockStatusSchema } from '../../api/custom-resources/distributed-lock.ts';
import type { DistributedLockStatus } from '../../api/custom-resources/distributed-lock.ts';
import type { Inspection } from '../../api/operations.ts';
import type { DistributedLockSpec, LockPolicy } from '../../api/policies.ts';
import type { StoredObject } from '../../kube/kube-object.ts';
import type { LockAuthority } from '../lock-authority.ts';
import type { Observation } from '../observations.ts';
import { readSpec, type SpecReading } from '../spec-reading.ts';

/** Everything that one decision about a DistributedLock depends on, read at one moment. */
export interface LockInput {
  /** `namespace/name`, which is also the lock's key. */
  readonly key: string;
  /** `undefined`: there is none (any more). */
  readonly object: StoredObject | undefined;
  readonly spec: SpecReading<DistributedLockSpec> | undefined;
  readonly status: DistributedLockStatus;
  /** What was last configured for this object by this process. */
  readonly applied: AppliedRules | undefined;
  readonly shard: number;
  /** Whether this process grants the lock; otherwise another one reports on it. */
  readonly owned: boolean;
  readonly inspection: Inspection | undefined;
  readonly highestToken: number;
  readonly observation: Observation;
  /** For people, and as a bound on what may be believed of a recorded token. */
  readonly wallMs: number;
}

export interface AppliedRules {
  /** Which life of the name they came from. */
  readonly uid: string;
  readonly policy: LockPolicy;
  /** `metadata.generation` of the spec in force. */
  readonly generation: number | undefined;
}

export interface LockSources {
  readonly authority: LockAuthority;
  readonly objectOf: (key: string) => StoredObject | undefined;
  readonly appliedTo: (key: string) => AppliedRules | undefined;
  readonly observationOf: (key: string) => Observation;
  readonly wallMs: () => number;
}

export function gatherLock(key: string, sources: LockSources): LockInput {
  const { authority } = sources;
  const object = sources.objectOf(key);
  const shard = authority.shardOf(key);
  return {
    key,
    object,
    spec: object && readSpec(distributedLockSchema.shape.spec, object),
    status: statusOf(object),
    applied: sources.appliedTo(key),
    shard,
    owned: authority.owns(shard),
    inspection: authority.inspect(key),
    highestToken: authority.highestToken(key),
    observation: sources.observationOf(key),
    wallMs: sources.wallMs(),
  };
}

/** A status that cannot be read, since somebody wrote it by hand, is written anew; of it only the token is kept. */
function statusOf(object: StoredObject | undefined): DistributedLockStatus {
  const stored = object?.['status'];
  const parsed = distributedLockStatusSchema.safeParse(stored ?? {});
  if (parsed.success) return parsed.data;
  const token = distributedLockStatusSchema.shape.fencingToken.safeParse(
    (stored as { readonly fencingToken?: unknown } | null)?.fencingToken,
  );
  return token.success && token.data !== undefined ? { fencingToken: token.data } : {};
}
