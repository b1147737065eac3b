/** The rules of locks and pools as the administrator last set them. */
import { policyNameOf } from '../../src/api/lock-id.ts';
import type { LockPolicy } from '../../src/api/policies.ts';
import type { PlannedResource } from './plan.ts';

interface Entry {
  readonly resource: 'lock' | 'pool';
  readonly policy: LockPolicy | undefined;
  readonly changedAtMs: number;
  /** Most places given lately: an edit takes a moment to reach an owner that stands still. */
  readonly permitsBefore: number;
}

/** Order is not judged for this long after an edit. */
const SETTLES_AFTER_MS = 45_000;

export class PolicyBook {
  readonly current = new Map<string, Entry>();

  constructor(resources: readonly PlannedResource[]) {
    for (const { name, resource, policy } of resources)
      this.current.set(name, { resource, policy, changedAtMs: -SETTLES_AFTER_MS, permitsBefore: policy.permits });
  }

  set(name: string, policy: LockPolicy | undefined, nowMs: number): void {
    const before = this.current.get(name);
    if (before === undefined) return;
    const permitsBefore = Math.max(before.policy?.permits ?? before.permitsBefore, 1);
    this.current.set(name, { resource: before.resource, policy, changedAtMs: nowMs, permitsBefore });
  }

  permitsOf(key: string): number {
    const entry = this.current.get(policyNameOf(key));
    return Math.max(entry?.policy?.permits ?? 1, entry?.permitsBefore ?? 1);
  }

  /** The policy, unless it was changed lately. */
  settled(key: string, nowMs: number): LockPolicy | undefined {
    const entry = this.current.get(policyNameOf(key));
    return entry !== undefined && nowMs - entry.changedAtMs >= SETTLES_AFTER_MS ? entry.policy : undefined;
  }
}
