/** How a hold that is to be kept alive stands. Durations in ms. */
export interface RenewalView {
  /** Until the holder must stop. */
  readonly leftMs: number;
  /** What was left when the newest acknowledgement began to count. */
  readonly grantedMs: number;
  /** Renewals sent since that acknowledgement. */
  readonly tries: number;
  /** Until the next try if there were any; 0 or less: now. */
  readonly pauseLeftMs: number;
  /** Whether a renewal can still give it time. */
  readonly extendable: boolean;
}

export interface RenewalStep {
  /** No time is left. */
  readonly over: boolean;
  readonly renew: boolean;
  /** Renewals go unanswered and under half the time is left. */
  readonly jeopardy: boolean;
  /** When to look again. */
  readonly lookAgainInMs: number;
}

/** Part of the granted time after which a hold is renewed, and under which it is in jeopardy. */
const RENEW_PART = 3;
const JEOPARDY_PART = 2;

/**
 * What to do about a hold now. A renewal is due after a third of the time; without an answer it is repeated as long as any
 * time is left.
 */
export function planRenewal({ leftMs, grantedMs, tries, pauseLeftMs, extendable }: RenewalView): RenewalStep {
  if (leftMs <= 0) return { over: true, renew: false, jeopardy: false, lookAgainInMs: 0 };
  if (!extendable) return { over: false, renew: false, jeopardy: false, lookAgainInMs: leftMs };
  const dueInMs = tries === 0 ? leftMs - (grantedMs - grantedMs / RENEW_PART) : pauseLeftMs;
  const jeopardyInMs = leftMs - grantedMs / JEOPARDY_PART;
  return {
    over: false,
    renew: dueInMs <= 0,
    jeopardy: tries > 0 && jeopardyInMs <= 0,
    lookAgainInMs: Math.min(leftMs, dueInMs > 0 ? dueInMs : leftMs, jeopardyInMs > 0 ? jeopardyInMs : leftMs),
  };
}

const PAUSE_MS_MIN = 100;
const PAUSE_MS_MAX = 2_000;
/** Tries that fit into what was granted, if none is answered and the pause does not grow. */
const PAUSE_PART = 20;

/**
 * The pause after the n-th unanswered try, counted from 1: a twentieth of what was granted, doubled twice at most, and spread
 * by half so that sessions which lost the same owner do not all come back at once. `fraction` is a random number below 1.
 */
export function renewalPauseMs(grantedMs: number, tries: number, fraction: number): number {
  const baseMs = Math.min(PAUSE_MS_MAX, Math.max(PAUSE_MS_MIN, grantedMs / PAUSE_PART));
  return Math.min(PAUSE_MS_MAX, baseMs * 2 ** Math.min(2, tries - 1)) * (0.5 + fraction);
}
