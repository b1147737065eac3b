import { type LockPolicy, policyOfLock } from '../../api/policies.ts';
import type { EventToTell } from '../events.ts';
import { isEqual, type StatusChange, statusChange } from '../status-patch.ts';
import { forceReleaseStep, type ForceReleaseStep } from './force-release.ts';
import type { AppliedRules, LockInput } from './gather.ts';
import { wantedStatus } from './lock-status.ts';

/** What to do about a DistributedLock, in this order. */
export interface LockDecision {
  readonly rules: RulesChange | undefined;
  readonly forceRelease: ForceReleaseStep | undefined;
  readonly status: StatusChange | undefined;
  /** To tell once the status that they explain is written; at once if there is none to write. */
  readonly events: readonly EventToTell[];
  /** Look again after this long though nothing may have happened; Infinity for never. */
  readonly reviewInMs: number;
}

export type RulesChange =
  | { readonly kind: 'close' }
  | {
      readonly kind: 'configure';
      readonly policy: LockPolicy;
      /** The recorded token plus one: no Lease, however old, brings a token back. */
      readonly counterFloor: number;
      readonly applied: AppliedRules;
    };

/** Tokens begin at the wall clock in milliseconds: a recorded one far ahead of it was never given out, and is not believed. */
const TOKEN_AHEAD_MAX_MS = 20 * 366 * 86_400_000;
/** A circle may end at a lock that is no business of this object. */
const CYCLE_REVIEW_MS = 1_000;
const NOTHING: LockDecision = {
  rules: undefined,
  forceRelease: undefined,
  status: undefined,
  events: [],
  reviewInMs: Number.POSITIVE_INFINITY,
};

/**
 * Decides from what was gathered and nothing else.
 *
 * A deleted object closes its lock: waiters are refused, holds live to their end, the Lease stays with its counter. There is no
 * finalizer, because there is nothing to finish before the object may go: the Lease needs no owner, its counter is kept without
 * the object, and an operator that was down during the deletion finds a Lease without an object and serves nobody under it. A
 * finalizer would only make the deletion of a namespace wait for a running operator.
 */
export function decideLock(input: LockInput): LockDecision {
  const { object, applied, inspection } = input;
  if (object === undefined) {
    if (applied === undefined) return NOTHING;
    return { ...NOTHING, rules: { kind: 'close' }, events: deletedWhileHeld(input) };
  }
  const deleting = object.metadata.deletionTimestamp !== undefined;
  const rules = deleting ? closing(input) : rulesChange(input);
  const inForce = rules?.kind === 'configure' ? rules.applied : rules?.kind === 'close' ? undefined : applied;
  if (!input.owned) return { ...NOTHING, rules };
  const wanted = wantedStatus(input, inForce);
  const current = (object['status'] ?? {}) as Readonly<Record<string, unknown>>;
  const status = statusChange(current, wanted, object.metadata.resourceVersion, ['waiters']);
  const reviews = [
    inspection?.lockDelayRemainingMs ?? 0,
    input.observation.cycle === undefined ? 0 : CYCLE_REVIEW_MS,
  ].filter((ms) => ms > 0);
  return {
    rules,
    forceRelease: forceReleaseStep(input),
    status,
    events: [...(deleting && rules !== undefined ? deletedWhileHeld(input) : []), ...newProblems(input)],
    reviewInMs: Math.min(Number.POSITIVE_INFINITY, ...reviews),
  };
}

function closing({ applied }: LockInput): RulesChange | undefined {
  return applied === undefined ? undefined : { kind: 'close' };
}

function rulesChange({ object, spec, applied, status, wallMs }: LockInput): RulesChange | undefined {
  if (object === undefined || spec?.kind !== 'valid') return undefined;
  const policy = policyOfLock(spec.spec);
  const { uid, generation } = object.metadata;
  if (applied?.uid === uid && applied.generation === generation && isEqual(applied.policy, policy)) return undefined;
  const recorded = status.fencingToken === undefined ? 0 : Number(status.fencingToken);
  const counterFloor = recorded <= wallMs + TOKEN_AHEAD_MAX_MS ? recorded + 1 : 0;
  return { kind: 'configure', policy, counterFloor, applied: { uid, generation, policy } };
}

function deletedWhileHeld({ inspection }: LockInput): EventToTell[] {
  const holderCount = inspection?.holderCount ?? 0;
  if (holderCount === 0) return [];
  const holds = holderCount === 1 ? 'its hold lives to its end' : `its ${holderCount} holds live to their end`;
  return [
    {
      reason: 'DeletedWhileHeld',
      message: `The object was deleted while the lock was held: no new acquire is taken, ${holds}, and the Lease keeps the token counter.`,
    },
  ];
}

/** Tells of a problem once: when the status does not know it yet. */
function newProblems({ spec, status, inspection, applied }: LockInput): EventToTell[] {
  const reasonOf = (type: string) => status.conditions?.find((condition) => condition.type === type)?.reason;
  const events: EventToTell[] = [];
  if (spec?.kind === 'invalid' && reasonOf('Ready') !== 'InvalidSpec')
    events.push({ reason: 'InvalidSpec', message: `The spec breaks a rule and is not in force: ${spec.problem}.` });
  const maxWaiters = applied?.policy.maxWaiters ?? Number.POSITIVE_INFINITY;
  const waiterCount = inspection?.waiterCount ?? 0;
  if (waiterCount > 0 && waiterCount >= maxWaiters && reasonOf('Contended') !== 'QueueFull')
    events.push({ reason: 'QueueFull', message: 'The queue has reached maxWaiters; further acquires get QUEUE_FULL.' });
  return events;
}
