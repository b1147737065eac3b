import type { LockkeeperError } from '../../api/codes.ts';
import type { Operation, Reply } from '../../api/operations.ts';

/**
 * One request under way. It lives in the client's map from the moment it is asked until its final reply; over a change of
 * the owner it is asked again under a new number.
 */
export abstract class PendingRequest {
  readonly key: string;
  /** The number under which it was asked last; 0 before. Only the client writes these three. */
  ref = 0;
  /** Numbers under which it was asked before: a hold may still come for one, an error does not count. */
  olderRefs: number[] | undefined = undefined;
  /** Answers that were void, such as one of an older owner. */
  voidAnswers = 0;

  constructor(key: string) {
    this.key = key;
  }

  /** What to send under `ref`, the first time and again. */
  abstract operation(ref: number): Operation;
  /** An answer. Every one but `queued` is the last. */
  abstract onReply(reply: Reply): void;
  /** No answer will come. */
  abstract fail(failure: LockkeeperError): void;

  /** The owner it was sent to is none any more. False: do not ask the next one, the request has ended itself. */
  onOwnerChange(): boolean {
    return true;
  }

  /** Whether it declares a hold, which goes before everything else. */
  get isReclaim(): boolean {
    return false;
  }
}
