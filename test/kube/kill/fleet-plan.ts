/** What the clients of a run do, drawn from a seed. */
import type { Mode } from '../../../src/api/vocabulary.ts';
import type { Random } from '../../../src/system/random.ts';
import type { LockRules } from './history.ts';

/** Two of five kinds of lock are more than a plain mutex. */
export type LockUse = 'exclusive' | 'readersAndWriters' | 'permits';

export interface PlannedLock extends LockRules {
  readonly use: LockUse;
}

/** Fourteen plain locks, three for readers and writers, three with permits, and so on for other counts. */
export function planLocks(count: number): PlannedLock[] {
  return Array.from({ length: count }, (_, index) => {
    const use: LockUse = index % 7 === 5 ? 'readersAndWriters' : index % 7 === 6 ? 'permits' : 'exclusive';
    return { name: `lock-${index}`, use, permits: use === 'permits' ? 2 + (index % 3) : 1 };
  });
}

/**
 * - `brief`: works for some milliseconds and releases.
 * - `renewing`: works for seconds, with renewals.
 * - `keeper`: holds with a long time to live, so that it outlives a restart, and renews after it.
 * - `forgetful`: never releases; its hold runs out.
 */
export type Work = 'brief' | 'renewing' | 'keeper' | 'forgetful';

/** One turn of a client. */
export interface Turn {
  readonly lock: PlannedLock;
  readonly mode: Mode;
  /** 0 is a try-lock. */
  readonly timeoutMs: number;
  readonly ttlMs: number;
  readonly work: Work;
  readonly holdForMs: number;
  /** Whether an acquire without an answer is sent again with the same `requestId`. */
  readonly repeats: boolean;
  /** Whether renewals ask for half a second more each time, which is written first. */
  readonly lengthens: boolean;
  readonly restMs: number;
}

export function drawTurn(random: Random, locks: readonly PlannedLock[]): Turn {
  const between = (low: number, high: number) => low + random.integer(high - low + 1);
  const chance = (share: number) => random.fraction() < share;
  const lock = locks[random.integer(locks.length)] as PlannedLock;
  const work = drawWork(random);
  return {
    lock,
    mode: lock.use === 'readersAndWriters' && chance(0.7) ? 'shared' : 'exclusive',
    timeoutMs: chance(0.25) ? 0 : between(1_000, 12_000),
    ttlMs: work === 'forgetful' ? 1_000 : work === 'keeper' ? between(10_000, 15_000) : between(2_000, 5_000),
    work,
    holdForMs: work === 'renewing' ? between(300, 2_000) : work === 'keeper' ? between(8_000, 11_000) : between(0, 30),
    repeats: chance(0.8),
    lengthens: chance(0.1),
    restMs: between(0, 400),
  };
}

/** One hold in a hundred is long: it keeps its lock from everybody else for several seconds. */
function drawWork(random: Random): Work {
  const drawn = random.fraction();
  if (drawn < 0.01) return 'keeper';
  if (drawn < 0.03) return 'forgetful';
  return drawn < 0.08 ? 'renewing' : 'brief';
}
