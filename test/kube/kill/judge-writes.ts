/** What was written agrees with the rules and with what clients were told. */
import type { LockRules } from './history.ts';
import type { Hold } from './holds.ts';
import { type Attempt, type AuditedWrite, landed } from './lease-attempts.ts';

/**
 * A number in any attempt, landed or not, is spent: it never stands for another owner, and a number that appears for the
 * first time is above every number written before. `attempts` in the order in which the operator sent them.
 */
export function judgeNumbers(attempts: readonly Attempt[]): string[] {
  const violations: string[] = [];
  const owners = new Map<string, string>();
  const highest = new Map<string, number>();
  for (const { lock, counter, holders, attemptId } of attempts) {
    const before = highest.get(lock) ?? 0;
    for (const { token, ownerId } of holders) {
      const id = `${lock} #${token}`;
      const owner = owners.get(id);
      if (owner !== undefined && owner !== ownerId) {
        violations.push(`${id} was written for ${owner} and then for ${ownerId} (${attemptId})`);
      } else if (owner === undefined && token <= before) {
        violations.push(`${id} of ${ownerId} was written after #${before} had been (${attemptId})`);
      }
      owners.set(id, ownerId);
    }
    highest.set(lock, Math.max(before, counter, ...holders.map(({ token }) => token)));
  }
  return violations;
}

/**
 * The stored counter never goes down, and stored holders keep to mode and permits. After a restored backup a record may for a
 * while name those that the backup names, and that have left, beside those that are there: only clients tell who holds then.
 */
export function judgeStored(
  attempts: readonly Attempt[],
  locks: readonly LockRules[],
  restoredAtMs: readonly number[] = [],
): string[] {
  const violations: string[] = [];
  // A restored backup gives resourceVersions out again: each of its eras is ordered for itself.
  const eraOf = ({ forwardedMs = 0 }: Attempt) => restoredAtMs.filter((at) => at < forwardedMs).length;
  const stored = attempts.filter(landed).toSorted((left, right) => {
    return eraOf(left) - eraOf(right) || (left.version ?? 0) - (right.version ?? 0);
  });
  for (const { name, permits } of locks) {
    let counter = 0;
    for (const write of stored.filter(({ lock }) => lock === name)) {
      const exclusive = write.holders.filter(({ mode }) => mode === 'exclusive').length;
      const isTooMuch = exclusive > permits || (exclusive > 0 && exclusive < write.holders.length);
      if (isTooMuch && eraOf(write) === 0) {
        violations.push(`${name}: version ${write.version} has the holders ${JSON.stringify(write.holders)}`);
      }
      if (write.counter < counter) {
        violations.push(`${name}: version ${write.version} lowers the counter from ${counter} to ${write.counter}`);
      }
      counter = Math.max(counter, write.counter);
    }
  }
  return violations;
}

/**
 * A client was told of a grant only after a write with its token and owner had landed. `mayLackAnswer`: the API server was
 * killed or cut off in this run, so a write that was passed on and never answered may be the one, found by a later read.
 */
export function judgeRecorded(holds: readonly Hold[], attempts: readonly Attempt[], mayLackAnswer = false): string[] {
  const recordedMs = new Map<string, number>();
  for (const attempt of attempts) {
    const isThere = landed(attempt) || (mayLackAnswer && attempt.status === undefined);
    const fromMs = attempt.answeredMs ?? (mayLackAnswer ? attempt.forwardedMs : undefined);
    if (!isThere || fromMs === undefined) continue;
    for (const { token, ownerId } of attempt.holders) {
      const id = `${attempt.lock} #${token} ${ownerId}`;
      recordedMs.set(id, Math.min(fromMs, recordedMs.get(id) ?? Number.POSITIVE_INFINITY));
    }
  }
  const violations: string[] = [];
  for (const { lock, token, ownerId, client, receivedMs } of holds) {
    const fromMs = recordedMs.get(`${lock} #${token} ${ownerId}`);
    const told = `${client} was told of ${lock} #${token} at ${receivedMs.toFixed(1)} ms`;
    if (fromMs === undefined) violations.push(`${told}, and no write with it has landed`);
    else if (fromMs > receivedMs) violations.push(`${told}, before its write had landed at ${fromMs.toFixed(1)} ms`);
  }
  return violations;
}

/** The operator's writes went where they were seen to go: each answered one is in the audit log once, and no other is. */
export function judgeAudit(attempts: readonly Attempt[], audited: readonly AuditedWrite[]): string[] {
  const violations: string[] = [];
  const left = new Map<string, number>();
  const idOf = ({ lock, attemptId }: AuditedWrite | Attempt, status: number) => `${lock} ${attemptId} ${status}`;
  for (const write of audited) {
    const id = idOf(write, write.status);
    left.set(id, (left.get(id) ?? 0) + 1);
  }
  for (const attempt of attempts) {
    if (attempt.forwardedMs === undefined || attempt.status === undefined) continue;
    const id = idOf(attempt, attempt.status);
    const count = left.get(id) ?? 0;
    if (count === 0) violations.push(`${id} was answered, and is not in the audit log`);
    left.set(id, count - 1);
  }
  const passedOn = new Set(attempts.filter((each) => each.forwardedMs !== undefined).map((each) => each.attemptId));
  for (const [id, count] of left) {
    // Passed on, and its answer never came back: the API server did it all the same.
    if (count > 0 && !passedOn.has(id.split(' ')[1] ?? ''))
      violations.push(`${id} is in the audit log, and was never passed on`);
  }
  return violations;
}
