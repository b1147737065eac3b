/** Tokens only grow, per lock, as clients saw them. `judge-writes.ts` says the same of what was written. */
import type { LockRules } from './history.ts';
import type { Hold } from './holds.ts';

/**
 * - One token is one ownership: `owners` names every owner that was told a token.
 * - A grant that was asked for after another was received has a higher token.
 * - Exclusive holds of a lock with one permit follow each other, so their tokens grow in the order of their beginnings; a
 *   shared hold stands between the exclusive ones before and after it.
 */
export function judgeTokens(holds: readonly Hold[], locks: readonly LockRules[]): string[] {
  const violations: string[] = [];
  for (const { name, permits } of locks) {
    const ofLock = holds.filter((hold) => hold.lock === name);
    violations.push(...judgeRealTime(ofLock));
    if (permits === 1) violations.push(...judgeSuccession(ofLock));
  }
  return violations;
}

function judgeRealTime(holds: readonly Hold[]): string[] {
  const violations: string[] = [];
  const received = holds.toSorted((left, right) => left.receivedMs - right.receivedMs);
  let highest: Hold | undefined;
  let next = 0;
  for (const hold of holds.toSorted((left, right) => left.askedMs - right.askedMs)) {
    for (; (received[next]?.receivedMs ?? Number.POSITIVE_INFINITY) < hold.askedMs; next += 1) {
      const earlier = received[next] as Hold;
      if (highest === undefined || earlier.token > highest.token) highest = earlier;
    }
    if (highest !== undefined && hold.token <= highest.token) {
      violations.push(`${named(hold)} was asked for after ${named(highest)} had been received`);
    }
  }
  return violations;
}

function judgeSuccession(holds: readonly Hold[]): string[] {
  const violations: string[] = [];
  const begun = holds.filter(({ beliefs }) => beliefs.length > 0);
  begun.sort((left, right) => (left.beliefs[0]?.fromMs ?? 0) - (right.beliefs[0]?.fromMs ?? 0));
  let highest: Hold | undefined;
  let highestExclusive: Hold | undefined;
  for (const hold of begun) {
    const before = hold.mode === 'exclusive' ? highest : highestExclusive;
    if (before !== undefined && hold.token <= before.token) {
      violations.push(`${named(hold)} began after ${named(before)}`);
    }
    if (highest === undefined || hold.token > highest.token) highest = hold;
    if (hold.mode === 'exclusive' && (highestExclusive === undefined || hold.token > highestExclusive.token)) {
      highestExclusive = hold;
    }
  }
  return violations;
}

/** `told`: `lock#token` and the owner that an answer named, for every answer. */
export function judgeOwners(told: Iterable<readonly [id: string, ownerId: string]>): string[] {
  const owners = new Map<string, string>();
  const violations: string[] = [];
  for (const [id, ownerId] of told) {
    const known = owners.get(id);
    if (known !== undefined && known !== ownerId) violations.push(`${id} was told to ${known} and to ${ownerId}`);
    owners.set(id, ownerId);
  }
  return violations;
}

function named({ lock, token, client }: Hold): string {
  return `${lock} #${token} of ${client}`;
}
