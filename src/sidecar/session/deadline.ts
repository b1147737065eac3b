import { holderMarginMs } from '../../api/limits.ts';
import type { Mark, ProgressMeter } from '../../system/clock.ts';

/**
 * Until when a holder may rely on its hold: `validMs` of progress after `mark`, the moment at which the frame that the owner
 * had seen was sent. Never counted from a receipt: an answer may have been on its way for any time.
 */
export interface Deadline {
  readonly mark: Mark;
  /** Time the owner gave, counted from the mark. */
  readonly grantedMs: number;
  /** The same less the margin for the drift between two clocks. */
  readonly validMs: number;
}

/** What an answer without a known send time is worth. */
const NO_MARK: Mark = { monotonicMs: -Infinity, wallMs: -Infinity };

/** The deadline of a hold that had `remainingMs` left when the frame sent at `mark` had been seen. */
export function deadlineOf(mark: Mark | undefined, remainingMs: number): Deadline {
  return { mark: mark ?? NO_MARK, grantedMs: remainingMs, validMs: remainingMs - holderMarginMs(remainingMs) };
}

/** A moment `afterMs` from now that needs no margin, since it is nobody else's business. */
export function ownDeadline(meter: ProgressMeter, afterMs: number): Deadline {
  return { mark: meter.mark(), grantedMs: afterMs, validMs: afterMs };
}

/** Time left in ms, by whichever clock has made more progress: a suspended machine loses the time it slept. 0 or less: over. */
export function leftMs(meter: ProgressMeter, deadline: Deadline): number {
  return deadline.validMs - meter.elapsedSince(deadline.mark);
}

/** The end of the longest allowed life of a hold that began with this acknowledgement. */
export function lifeLimit(granted: Deadline, maxHoldMs: number): Deadline {
  return { mark: granted.mark, grantedMs: maxHoldMs, validMs: maxHoldMs };
}

/** The one that leaves more time. */
export function laterOf(meter: ProgressMeter, one: Deadline, other: Deadline): Deadline {
  return leftMs(meter, other) > leftMs(meter, one) ? other : one;
}
