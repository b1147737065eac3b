import { type ErrorCode, type ErrorDetails, LockkeeperError } from '../../api/codes.ts';
import { splitLockKey } from '../../api/lock-id.ts';
import { messageOf } from '../../api/messages.ts';
import type { ErrorReply } from '../../api/operations.ts';

/** An error of the product with its usual words. */
export function failure(code: ErrorCode, details: ErrorDetails = {}): LockkeeperError {
  return new LockkeeperError(code, messageOf(code, details), details);
}

export function failureOf(reply: ErrorReply): LockkeeperError {
  return failure(reply.code, reply.details);
}

/** NOT_HELD for one token, naming the lock and why. */
export function notHeld(key: string, token: number, reason?: string, more: ErrorDetails = {}): LockkeeperError {
  const details = { ...splitLockKey(key), fencingToken: String(token), ...more };
  return failure('NOT_HELD', reason === undefined ? details : { ...details, reason });
}

/** What a call rejects with when its signal aborted: the reason if it is one of our errors. */
export function abortFailure(reason: unknown): LockkeeperError {
  return reason instanceof LockkeeperError ? reason : failure('UNAVAILABLE', { reason: 'disconnected' });
}

export function shuttingDown(): LockkeeperError {
  return failure('UNAVAILABLE', { reason: 'shuttingDown' });
}

/** Whether the owner said that the hold is none (any more), rather than that it cannot tell now. */
export function endsHold(code: ErrorCode): boolean {
  return code === 'NOT_HELD' || code === 'LOCK_NOT_FOUND';
}

/** The pause that an error asks for before a retry, in ms; 0 if it names none. */
export function retryAfterMsOf({ details }: LockkeeperError): number {
  const { retryAfterMs } = details;
  return typeof retryAfterMs === 'number' && retryAfterMs > 0 ? retryAfterMs : 0;
}
