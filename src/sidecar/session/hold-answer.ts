import { renewAfterMs } from '../../api/limits.ts';
import { splitLockKey } from '../../api/lock-id.ts';
import type { Hold } from '../../api/responses.ts';
import type { OwnHold } from './own-hold.ts';
import { rfc3339 } from './records.ts';
import type { SessionCore } from './session-core.ts';

/** What of a session an answer needs. */
export type AnswerClocks = Pick<SessionCore, 'clock' | 'meter'>;

/**
 * How long after `receivedAtMs`, when the request came in, the hold is valid: whole ms, never negative. A caller counts it
 * from when it sent the request, which is earlier.
 */
export function validForMsOf(hold: OwnHold, { clock, meter }: AnswerClocks, receivedAtMs: number): number {
  const passedMs = clock.monotonicMs() - receivedAtMs;
  const leftMs = hold.leftMs(meter);
  return leftMs > 0 ? Math.max(0, Math.floor(passedMs + leftMs)) : 0;
}

/** A hold as it is answered to a request that came in at `receivedAtMs`. */
export function holdAnswer(hold: OwnHold, clocks: AnswerClocks, receivedAtMs: number): Hold {
  const { clock, meter } = clocks;
  const passedMs = clock.monotonicMs() - receivedAtMs;
  const leftMs = Math.max(0, hold.leftMs(meter));
  const validForMs = validForMsOf(hold, clocks, receivedAtMs);
  const { grantedMs, validMs } = hold.deadline;
  const renewAtMs = passedMs - (validMs - leftMs) + renewAfterMs(grantedMs);
  return {
    ...splitLockKey(hold.key),
    ownerId: hold.ownerId,
    mode: hold.mode,
    fencingToken: String(hold.token),
    depth: hold.depth,
    ttlMs: hold.ttlMs,
    validForMs,
    expiresAt: rfc3339(clock.wallMs() + leftMs),
    renewAfterMs: Math.min(validForMs, Math.max(0, Math.floor(renewAtMs))),
    metadata: hold.metadata ?? {},
  };
}
