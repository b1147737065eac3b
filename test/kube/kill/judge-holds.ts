/** Mutual exclusion and lost holds, as clients saw them. */
import type { LockRules } from './history.ts';
import type { Belief, Hold } from './holds.ts';

/** What a run's faults may take away. */
export interface Allowances {
  /**
   * Moments at which the records of holds were destroyed from outside (a restored backup). A hold that was believed then,
   * or granted less than `settlesWithinMs` later, is protected by its token alone.
   */
  readonly destroyedAtMs: readonly number[];
}

export const NOTHING_LOST: Allowances = { destroyedAtMs: [] };
/** A grant that was written before the records went can still be on its way to its client. */
const settlesWithinMs = 10_000;

/** No two valid holds beyond mode and permits: beliefs by rule, each from the receipt of an answer to its deadline. */
export function judgeExclusion(
  holds: readonly Hold[],
  locks: readonly LockRules[],
  allowances: Allowances = NOTHING_LOST,
): string[] {
  const violations: string[] = [];
  for (const { name, permits } of locks) {
    const judged = holds.filter((hold) => hold.lock === name && !isDestroyed(hold, allowances));
    const beliefs = judged.flatMap((hold) => hold.beliefs.map((belief) => ({ hold, belief })));
    beliefs.sort((left, right) => left.belief.fromMs - right.belief.fromMs);
    let current: typeof beliefs = [];
    for (const next of beliefs) {
      // What ended when this began is over: a release and the grant after it can have one time stamp.
      current = current.filter(({ belief }) => belief.untilMs > next.belief.fromMs);
      current.push(next);
      const exclusive = current.filter(({ hold }) => hold.mode === 'exclusive').length;
      const shared = current.length - exclusive;
      if (exclusive > permits || (exclusive > 0 && shared > 0)) {
        violations.push(`${name} (${permits} permits) is held at once by ${current.map(told).join(' and ')}`);
      }
    }
  }
  return violations;
}

/** Nobody is told before its deadline that it does not hold, unless the record was destroyed from outside. */
export function judgeLosses(holds: readonly Hold[], allowances: Allowances = NOTHING_LOST): string[] {
  return holds
    .filter((hold) => hold.lostMs !== undefined && !isDestroyed(hold, allowances))
    .map(
      (hold) => `${told({ hold, belief: hold.beliefs.at(-1) })} was lost at ${ms(hold.lostMs)}, before its deadline`,
    );
}

function isDestroyed({ sentMs, receivedMs, beliefs }: Hold, { destroyedAtMs }: Allowances): boolean {
  const lastMs = beliefs.at(-1)?.untilMs ?? receivedMs;
  return destroyedAtMs.some(
    (at) => sentMs <= at && Math.max(lastMs, receivedMs) >= at && receivedMs < at + settlesWithinMs,
  );
}

function told({ hold, belief }: { readonly hold: Hold; readonly belief: Belief | undefined }): string {
  return `${hold.client} (${hold.mode} #${hold.token}, ${ms(belief?.fromMs)} to ${ms(belief?.untilMs)})`;
}

function ms(value: number | undefined): string {
  return value === undefined ? 'never' : `${value.toFixed(1)} ms`;
}
