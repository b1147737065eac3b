/** When to kill the operator, drawn from a seed, and whether that moment was really met. */
import type { Random } from '../../../src/system/random.ts';
import type { History } from './history.ts';
import type { SeenWrite } from './attempt-log.ts';

/**
 * Where the write of a grant stands when its operator dies.
 * - `beforePut`: the operator has sent it, and the API server never gets it.
 * - `putInFlight`: the API server has it and has not answered.
 * - `answerHeld`: the API server has answered, and the operator has not heard it.
 * - `answerDelivered`: the answer is on its way to the operator, and the client has not heard of its grant.
 * - `anywhere`: at a moment that has nothing to do with a write.
 */
export type KillPoint = 'beforePut' | 'putInFlight' | 'answerHeld' | 'answerDelivered' | 'anywhere';

/** What the points are counted as. */
export type PointClass = 'before the PUT' | 'PUT in flight' | 'before the reply' | 'anywhere';

export interface PlannedKill {
  readonly point: KillPoint;
  /** Grants of the present operator that come first. */
  readonly grantsBefore: number;
  /** Writes of grants that pass first, from then on. */
  readonly skip: number;
  /** For `anywhere` and `answerDelivered`: how long after it. */
  readonly delayMs: number;
}

/** Of five rounds one of each of the first three classes and two others, in an order of its own for every seed. */
const inTurn: readonly KillPoint[] = ['beforePut', 'putInFlight', 'answerHeld', 'answerDelivered', 'anywhere'];

export function planKills(random: Random, rounds: number): PlannedKill[] {
  const points = Array.from({ length: rounds }, (_, index) => inTurn[index % inTurn.length] as KillPoint);
  for (let index = rounds - 1; index > 0; index -= 1) {
    const other = random.integer(index + 1);
    [points[index], points[other]] = [points[other] as KillPoint, points[index] as KillPoint];
  }
  return points.map((point) => ({
    point,
    grantsBefore: 20 + random.integer(100),
    skip: random.integer(10),
    delayMs: point === 'anywhere' ? random.integer(300) : random.integer(4),
  }));
}

/** What really happened, from the proxy's times and the clients' logs. `write`: the one that the kill waited for. */
export function reachedPoint(write: SeenWrite | undefined, killedMs: number, history: History): PointClass {
  if (write === undefined) return 'anywhere';
  const { forwardedMs, answeredMs, lock, granted } = write;
  if (forwardedMs === undefined || forwardedMs > killedMs) return 'before the PUT';
  if (answeredMs === undefined || answeredMs > killedMs) return 'PUT in flight';
  const tokens = new Set(granted.map(({ token }) => token));
  const told = history.grantsSince(write.arrivedMs).some((call) => call.lock === lock && tokens.has(call.answer.token));
  return told ? 'anywhere' : 'before the reply';
}
