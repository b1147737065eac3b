import type { LockkeeperError } from '../../api/codes.ts';
import { splitLockKey } from '../../api/lock-id.ts';
import type { Operation, Reply } from '../../api/operations.ts';
import { failure, failureOf } from './failures.ts';
import { PendingRequest } from './pending-request.ts';

/** Ends the holds of a lock. Never repeated by itself: a second one could end the hold of whoever came next. */
export class ForceReleaseRequest extends PendingRequest {
  readonly #reason: string;
  readonly #by: string;
  readonly #onDone: (ended: number) => void;
  readonly #onFailed: (problem: LockkeeperError) => void;

  constructor(
    key: string,
    terms: { readonly reason: string; readonly by: string },
    onDone: (ended: number) => void,
    onFailed: (problem: LockkeeperError) => void,
  ) {
    super(key);
    this.#reason = terms.reason;
    this.#by = terms.by;
    this.#onDone = onDone;
    this.#onFailed = onFailed;
  }

  override operation(ref: number): Operation {
    return { op: 'forceRelease', ref, key: this.key, reason: this.#reason, by: this.#by };
  }

  override onReply(reply: Reply): void {
    if (reply.kind === 'done') this.#onDone(reply.ended);
    else if (reply.kind === 'error') this.#onFailed(failureOf(reply));
  }

  override fail(problem: LockkeeperError): void {
    this.#onFailed(problem);
  }

  override onOwnerChange(): boolean {
    this.#onFailed(failure('OUTCOME_UNKNOWN', splitLockKey(this.key)));
    return false;
  }
}
