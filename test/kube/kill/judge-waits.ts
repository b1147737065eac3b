/** Every wait ends, and every refusal has a code that its request can meet. */
import type { ErrorCode } from '../../../src/api/codes.ts';
import type { Call } from './history.ts';

/** What a request of the fleet can be told without anything being wrong. */
const expected: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'LOCK_HELD',
  'ACQUIRE_TIMEOUT',
  'NOT_HELD',
  'UNAVAILABLE',
  'OUTCOME_UNKNOWN',
]);

/** `boundMs`: how much later than its own timeout a call may end. */
export function judgeWaits(calls: readonly Call[], boundMs: number): string[] {
  const violations: string[] = [];
  for (const call of calls) {
    const { client, verb, lock, answer, sentMs, endedMs, timeoutMs } = call;
    const tookMs = endedMs - sentMs;
    if (tookMs > timeoutMs + boundMs) {
      violations.push(
        `${client}: ${verb} of ${lock} (sent at ${sentMs.toFixed(0)} ms, timeout ${timeoutMs} ms) ended after ${tookMs.toFixed(0)} ms: ${JSON.stringify(answer)}`,
      );
    }
    if (answer.kind === 'refused' && !expected.has(answer.code)) {
      violations.push(`${client}: ${verb} of ${lock} was refused with ${answer.code}: ${answer.message}`);
    }
  }
  return violations;
}
