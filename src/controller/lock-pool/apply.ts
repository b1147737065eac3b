import type { StoredObject } from '../../kube/kube-object.ts';
import type { EventToTell } from '../events.ts';
import type { Outcome } from '../kind-controller.ts';
import type { LockAuthority } from '../lock-authority.ts';
import type { StatusWriter } from '../status-writer.ts';
import type { PoolDecision } from './decide.ts';
import type { AppliedPoolRules, PoolInput } from './gather.ts';

export interface PoolSinks {
  readonly authority: LockAuthority;
  readonly statusWriter: StatusWriter;
  readonly tell: (object: StoredObject | undefined, key: string, event: EventToTell) => void;
  readonly noteApplied: (key: string, applied: AppliedPoolRules | undefined) => void;
}

/** Carries a decision out: the rules, then at most one status write. Throws what should be tried again later. */
export async function applyPool(input: PoolInput, decision: PoolDecision, sinks: PoolSinks): Promise<Outcome> {
  const { key, object } = input;
  const { rules, status, events } = decision;
  if (rules?.kind === 'close') {
    sinks.authority.configurePool(key, undefined);
    for (const event of events) sinks.tell(object, key, event);
    sinks.noteApplied(key, undefined);
  } else if (rules?.kind === 'configure') {
    sinks.authority.configurePool(key, rules.policy);
    sinks.noteApplied(key, rules.applied);
  }
  if (object === undefined) {
    sinks.statusWriter.decline(key);
    return 'done';
  }
  if (rules !== undefined) return 'again';
  const outcome = await sinks.statusWriter.write(key, status);
  if (outcome === 'written' || status === undefined) for (const event of events) sinks.tell(object, key, event);
  return outcome === 'conflict' ? 'stale' : 'done';
}
