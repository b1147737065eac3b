import { LOCK_CONDITIONS } from '../../api/custom-resources/conditions.ts';
import {
  type DistributedLockStatus,
  HOLDER_TEXT_LENGTH_MAX,
  type HolderStatus,
} from '../../api/custom-resources/distributed-lock.ts';
import { LIMITS } from '../../api/limits.ts';
import type { HolderInspection, Inspection } from '../../api/operations.ts';
import { formatTime } from '../../kube/lease.ts';
import { conditionsOf, mergeConditions, type WantedCondition } from '../conditions.ts';
import { describeCycle } from '../event-messages.ts';
import { highestTokenOf } from './force-release.ts';
import type { AppliedRules, LockInput } from './gather.ts';

const NOBODY: Pick<Inspection, 'holders' | 'holderCount' | 'waiterCount' | 'lockDelayRemainingMs'> = {
  holders: [],
  holderCount: 0,
  waiterCount: 0,
  lockDelayRemainingMs: 0,
};

/** The status as it should be now, given the rules that are in force once this decision is carried out. */
export function wantedStatus(input: LockInput, inForce: AppliedRules | undefined): DistributedLockStatus {
  const { status, shard, wallMs } = input;
  const { holders, holderCount, waiterCount } = input.inspection ?? NOBODY;
  const highestToken = highestTokenOf(input);
  const held = holders.map((holder) => holderStatusOf(holder, status, wallMs));
  const [first] = held;
  const observedGeneration = inForce?.generation ?? status.observedGeneration;
  return {
    ...(first === undefined
      ? {}
      : { holder: holderText(first, holderCount), holders: held, mode: first.mode, heldSince: earliest(held) }),
    ...(highestToken === 0 ? {} : { fencingToken: String(highestToken) }),
    waiters: waiterCount,
    shard,
    ...(observedGeneration === undefined ? {} : { observedGeneration }),
    conditions: mergeConditions(status.conditions ?? [], wantedConditions(input, inForce), formatTime(wallMs)),
  };
}

function holderStatusOf(holder: HolderInspection, before: DistributedLockStatus, wallMs: number): HolderStatus {
  const fencingToken = String(holder.token);
  // A token is given out once: what was said of it before stays, so that clocks that differ do not move it.
  const known = before.holders?.find((each) => each.fencingToken === fencingToken);
  return {
    ownerId: holder.ownerId,
    principal: holder.principal,
    mode: holder.mode,
    fencingToken,
    ...(holder.depth > 1 && holder.depth <= LIMITS.depthMax ? { depth: holder.depth } : {}),
    heldSince: known?.heldSince ?? formatTime(wallMs - holder.heldForMs),
  };
}

function holderText({ principal, ownerId }: HolderStatus, holderCount: number): string {
  const rest = holderCount > 1 ? ` +${holderCount - 1}` : '';
  return `${principal}/${ownerId}`.slice(0, HOLDER_TEXT_LENGTH_MAX - rest.length) + rest;
}

function earliest(holders: readonly HolderStatus[]): string {
  return holders.map(({ heldSince }) => heldSince).reduce((left, right) => (left <= right ? left : right));
}

function wantedConditions(input: LockInput, inForce: AppliedRules | undefined): WantedCondition[] {
  const condition = conditionsOf(LOCK_CONDITIONS, input.object?.metadata.generation);
  const { observation } = input;
  const { holders, holderCount, waiterCount, lockDelayRemainingMs } = input.inspection ?? NOBODY;

  const ready = (): WantedCondition => {
    if (input.object?.metadata.deletionTimestamp !== undefined)
      return condition('Ready', 'Deleting', 'The object is being deleted: no new acquire, holds live to their end.');
    if (input.spec?.kind === 'invalid') {
      const rules = inForce === undefined ? 'the lock takes no acquires' : 'the last good spec stays in force';
      return condition('Ready', 'InvalidSpec', `The spec breaks a rule, so ${rules}: ${input.spec.problem}.`);
    }
    if (observation.refusal !== undefined) {
      const { text, unusable } = observation.refusal;
      if (unusable) return condition('Ready', 'LeaseUnusable', `Nothing is granted: ${text}`);
      return condition('Ready', 'StoreRefused', `The Lease cannot be written, so nothing is granted: ${text}`);
    }
    return condition('Ready', 'Serving', 'Acquires are granted by this spec.');
  };

  const held = (): WantedCondition => {
    if (holders.some(({ overdue }) => overdue))
      return condition('Held', 'Overdue', 'A hold is past its time to live and stays, since expiryPolicy is Alert.');
    if (holderCount > 0 && holders.every(({ unclaimed }) => unclaimed))
      return condition('Held', 'Unclaimed', 'The recorded holders have not spoken since the lock server began anew.');
    if (holderCount > 0) return condition('Held', 'Granted', 'The lock is held.');
    if (lockDelayRemainingMs > 0)
      return condition('Held', 'LockDelay', 'Nobody holds the lock; the pause after an abnormal end is not over.');
    return condition('Held', 'Free', 'Nobody holds the lock.');
  };

  const contended = (): WantedCondition => {
    if (waiterCount === 0) return condition('Contended', 'NoWaiters', 'Nobody waits.');
    if (inForce !== undefined && waiterCount >= inForce.policy.maxWaiters)
      return condition('Contended', 'QueueFull', 'The queue has reached maxWaiters; further acquires get QUEUE_FULL.');
    return condition('Contended', 'WaitersQueued', 'Acquires wait for the lock.');
  };

  const deadlocked = (): WantedCondition => {
    if (observation.cycle !== undefined) return condition('Deadlocked', 'CycleFound', describeCycle(observation.cycle));
    if (observation.cycleBroken)
      return condition('Deadlocked', 'CycleBroken', 'A waiter was refused to end a circle of waiting owners.');
    return condition('Deadlocked', 'NoCycle', 'No owners wait for each other in a circle.');
  };

  return [ready(), held(), contended(), deadlocked()];
}
