import { POOL_CONDITIONS } from '../../api/custom-resources/conditions.ts';
import type { LockPoolStatus } from '../../api/custom-resources/lock-pool.ts';
import { type LockPolicy, policyOfPool } from '../../api/policies.ts';
import { formatTime } from '../../kube/lease.ts';
import { conditionsOf, mergeConditions, type WantedCondition } from '../conditions.ts';
import { describeCycle } from '../event-messages.ts';
import type { EventToTell } from '../events.ts';
import { isEqual, type StatusChange, statusChange } from '../status-patch.ts';
import type { AppliedPoolRules, PoolInput } from './gather.ts';

/** What to do about a LockPool, in this order. */
export interface PoolDecision {
  readonly rules: PoolRulesChange | undefined;
  readonly status: StatusChange | undefined;
  /** To tell once the status that they explain is written; at once if there is none to write. */
  readonly events: readonly EventToTell[];
}

export type PoolRulesChange =
  | { readonly kind: 'close' }
  | { readonly kind: 'configure'; readonly policy: LockPolicy; readonly applied: AppliedPoolRules };

const NOTHING: PoolDecision = { rules: undefined, status: undefined, events: [] };
const COUNTS = ['holds', 'waiters', 'grants'];

/**
 * Decides from what was gathered and nothing else. A deleted pool closes its keys: waiters are refused, holds live to their end.
 * No finalizer is needed: holds of a pool are in memory and on nobody's object, and the tokens of a recreated pool go on from
 * the shards' counters, which do not know pools.
 */
export function decidePool(input: PoolInput): PoolDecision {
  const { object, applied, pool } = input;
  if (object === undefined) {
    if (applied === undefined) return NOTHING;
    return { ...NOTHING, rules: { kind: 'close' }, events: deletedWhileHeld(pool.holds) };
  }
  const deleting = object.metadata.deletionTimestamp !== undefined;
  const rules = deleting ? closing(applied) : rulesChange(input);
  const inForce = rules?.kind === 'configure' ? rules.applied : rules?.kind === 'close' ? undefined : applied;
  if (!input.owned) return { ...NOTHING, rules };
  const wanted = wantedStatus(input, inForce);
  const current = (object['status'] ?? {}) as Readonly<Record<string, unknown>>;
  return {
    rules,
    status: statusChange(current, wanted, object.metadata.resourceVersion, COUNTS),
    events: [...(deleting && rules !== undefined ? deletedWhileHeld(pool.holds) : []), ...newProblems(input)],
  };
}

function closing(applied: AppliedPoolRules | undefined): PoolRulesChange | undefined {
  return applied === undefined ? undefined : { kind: 'close' };
}

function rulesChange({ object, spec, applied }: PoolInput): PoolRulesChange | undefined {
  if (object === undefined || spec?.kind !== 'valid') return undefined;
  const policy = policyOfPool(spec.spec);
  const { uid, generation } = object.metadata;
  if (applied?.uid === uid && applied.generation === generation && isEqual(applied.policy, policy)) return undefined;
  return { kind: 'configure', policy, applied: { uid, generation, policy } };
}

function wantedStatus(input: PoolInput, inForce: AppliedPoolRules | undefined): LockPoolStatus {
  const { status, pool, wallMs } = input;
  const observedGeneration = inForce?.generation ?? status.observedGeneration;
  return {
    holds: pool.holds,
    waiters: pool.waiters,
    grants: pool.grants,
    ...(observedGeneration === undefined ? {} : { observedGeneration }),
    conditions: mergeConditions(status.conditions ?? [], wantedConditions(input, inForce), formatTime(wallMs)),
  };
}

function wantedConditions(input: PoolInput, inForce: AppliedPoolRules | undefined): WantedCondition[] {
  const { object, spec, pool, observation } = input;
  const condition = conditionsOf(POOL_CONDITIONS, object?.metadata.generation);

  const ready = (): WantedCondition => {
    if (object?.metadata.deletionTimestamp !== undefined)
      return condition('Ready', 'Deleting', 'The object is being deleted: no new acquire, holds live to their end.');
    if (spec?.kind === 'invalid') {
      const rules = inForce === undefined ? 'its keys take no acquires' : 'the last good spec stays in force';
      return condition('Ready', 'InvalidSpec', `The spec breaks a rule, so ${rules}: ${spec.problem}.`);
    }
    if (pool.unownedShards > 0)
      return condition('Ready', 'ShardsUnowned', 'Some shards have no owner; acquires of their keys get UNAVAILABLE.');
    if (pool.recoveringShards > 0)
      return condition('Ready', 'Recovering', 'A new owner waits for holders to reclaim; acquires there are queued.');
    return condition('Ready', 'Serving', 'Acquires are granted by this spec.');
  };

  const deadlocked = (): WantedCondition => {
    if (observation.cycle !== undefined) return condition('Deadlocked', 'CycleFound', describeCycle(observation.cycle));
    if (observation.cycleBroken)
      return condition('Deadlocked', 'CycleBroken', 'A waiter was refused to end a circle of waiting owners.');
    return condition('Deadlocked', 'NoCycle', 'No owners wait for each other in a circle.');
  };

  return [ready(), deadlocked()];
}

function deletedWhileHeld(holds: number): EventToTell[] {
  if (holds === 0) return [];
  const message = `The object was deleted while ${holds === 1 ? 'a key was' : `${holds} keys were`} held: no new acquire is taken, holds live to their end.`;
  return [{ reason: 'DeletedWhileHeld', message }];
}

/** Tells of a problem once: when the status does not know it yet. */
function newProblems({ spec, status }: PoolInput): EventToTell[] {
  const known = status.conditions?.find(({ type }) => type === 'Ready')?.reason;
  if (spec?.kind !== 'invalid' || known === 'InvalidSpec') return [];
  return [{ reason: 'InvalidSpec', message: `The spec breaks a rule and is not in force: ${spec.problem}.` }];
}
