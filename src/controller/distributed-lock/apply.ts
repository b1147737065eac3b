import { LockkeeperError } from '../../api/codes.ts';
import { splitLockKey } from '../../api/lock-id.ts';
import { DISTRIBUTED_LOCKS, type StoredObject } from '../../kube/kube-object.ts';
import { StoreError } from '../../kube/lease-store.ts';
import type { ObjectStore } from '../../kube/object-store.ts';
import type { EventToTell } from '../events.ts';
import type { LockAuthority } from '../lock-authority.ts';
import type { Outcome } from '../kind-controller.ts';
import type { StatusWriter } from '../status-writer.ts';
import type { LockDecision } from './decide.ts';
import type { AnnotationsPatch, ForceReleaseStep } from './force-release.ts';
import type { AppliedRules, LockInput } from './gather.ts';

/** Who a force release by annotation is ascribed to: an annotation does not say who set it. */
const BY_ANNOTATION = 'kubectl annotate';

export interface LockSinks {
  readonly authority: LockAuthority;
  readonly store: Pick<ObjectStore, 'patch'>;
  readonly statusWriter: StatusWriter;
  readonly tell: (object: StoredObject | undefined, key: string, event: EventToTell) => void;
  readonly noteApplied: (key: string, applied: AppliedRules | undefined) => void;
  /** What the store answered to a write. */
  readonly noteObject: (object: StoredObject) => void;
}

/**
 * Carries a decision out: the rules, then at most one step of a force release, then at most one status write. Throws what should
 * be tried again later.
 */
export async function applyLock(input: LockInput, decision: LockDecision, sinks: LockSinks): Promise<Outcome> {
  const { key, object } = input;
  const { rules, status, events } = decision;
  if (rules?.kind === 'close') {
    sinks.authority.configureLock(key, undefined);
    for (const event of events) sinks.tell(object, key, event);
    sinks.noteApplied(key, undefined);
  } else if (rules?.kind === 'configure') {
    sinks.authority.configureLock(key, rules.policy, rules.counterFloor);
    sinks.noteApplied(key, rules.applied);
  }
  if (object === undefined) {
    sinks.statusWriter.decline(key);
    return 'done';
  }
  // New rules may change what the lock is, so the status is decided anew.
  if (rules !== undefined) return 'again';
  if (decision.forceRelease !== undefined) {
    try {
      return await forceRelease(input, decision.forceRelease, sinks);
    } catch (error) {
      if (!(error instanceof LockkeeperError)) throw error;
      const message = `The force release could not be done and is tried again: ${error.message}`;
      sinks.tell(object, key, { reason: 'ForceReleaseRefused', message });
      await sinks.statusWriter.write(key, status);
      throw error;
    }
  }
  const outcome = await sinks.statusWriter.write(key, status);
  if (outcome === 'written' || status === undefined) for (const event of events) sinks.tell(object, key, event);
  return outcome === 'conflict' ? 'stale' : 'done';
}

async function forceRelease(input: LockInput, step: ForceReleaseStep, sinks: LockSinks): Promise<Outcome> {
  const { key, object } = input;
  if (step.step === 'intend' || step.step === 'withdraw') return annotate(key, step.patch, sinks);
  if (step.step === 'release') {
    // Who lost is told by the audit events of the ends, as for every other force release.
    await sinks.authority.forceRelease(key, step.reason, BY_ANNOTATION);
    return annotate(key, step.patch, sinks);
  }
  const outcome = await annotate(key, step.patch, sinks);
  const message = `${BY_ANNOTATION} force-released the lock: ${step.reason}. No hold was left to end.`;
  if (outcome === 'again') sinks.tell(object, key, { reason: 'ForceReleased', message });
  return outcome;
}

/** Once written, the object is looked at again for what is left to do. */
async function annotate(key: string, patch: AnnotationsPatch, sinks: LockSinks): Promise<Outcome> {
  const { namespace, lockId } = splitLockKey(key);
  try {
    sinks.noteObject(await sinks.store.patch(DISTRIBUTED_LOCKS, namespace, lockId, patch));
    return 'again';
  } catch (error) {
    if (error instanceof StoreError && (error.outcome === 'conflict' || error.outcome === 'notFound')) return 'stale';
    throw error;
  }
}
