import { lockPoolSchema, type LockPoolStatus, lockPoolStatusSchema } from '../../api/custom-resources/lock-pool.ts';
import type { LockPolicy, LockPoolSpec } from '../../api/policies.ts';
import type { StoredObject } from '../../kube/kube-object.ts';
import type { LockAuthority, PoolState } from '../lock-authority.ts';
import type { Observation } from '../observations.ts';
import { readSpec, type SpecReading } from '../spec-reading.ts';

/** Everything that one decision about a LockPool depends on, read at one moment. */
export interface PoolInput {
  /** `namespace/name`. */
  readonly key: string;
  /** `undefined`: there is none (any more). */
  readonly object: StoredObject | undefined;
  readonly spec: SpecReading<LockPoolSpec> | undefined;
  readonly status: LockPoolStatus;
  /** What was last configured for this object by this process. */
  readonly applied: AppliedPoolRules | undefined;
  /** Whether this process reports on pools, whose keys are spread over all shards: it owns shard 0. */
  readonly owned: boolean;
  readonly pool: PoolState;
  readonly observation: Observation;
  readonly wallMs: number;
}

export interface AppliedPoolRules {
  readonly uid: string;
  readonly policy: LockPolicy;
  readonly generation: number | undefined;
}

export interface PoolSources {
  readonly authority: LockAuthority;
  readonly objectOf: (key: string) => StoredObject | undefined;
  readonly appliedTo: (key: string) => AppliedPoolRules | undefined;
  readonly observationOf: (key: string) => Observation;
  readonly wallMs: () => number;
}

export function gatherPool(key: string, sources: PoolSources): PoolInput {
  const object = sources.objectOf(key);
  const status = lockPoolStatusSchema.safeParse(object?.['status'] ?? {});
  return {
    key,
    object,
    spec: object && readSpec(lockPoolSchema.shape.spec, object),
    status: status.success ? status.data : {},
    applied: sources.appliedTo(key),
    owned: sources.authority.owns(0),
    pool: sources.authority.poolState(key),
    observation: sources.observationOf(key),
    wallMs: sources.wallMs(),
  };
}
