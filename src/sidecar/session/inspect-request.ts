import type { LockkeeperError } from '../../api/codes.ts';
import type { Inspection, Operation, Reply } from '../../api/operations.ts';
import { failureOf } from './failures.ts';
import { PendingRequest } from './pending-request.ts';

/** Asks how a lock stands. */
export class InspectRequest extends PendingRequest {
  readonly #onInspected: (inspection: Inspection) => void;
  readonly #onFailed: (problem: LockkeeperError) => void;

  constructor(
    key: string,
    onInspected: (inspection: Inspection) => void,
    onFailed: (problem: LockkeeperError) => void,
  ) {
    super(key);
    this.#onInspected = onInspected;
    this.#onFailed = onFailed;
  }

  override operation(ref: number): Operation {
    return { op: 'inspect', ref, key: this.key };
  }

  override onReply(reply: Reply): void {
    if (reply.kind === 'inspection') this.#onInspected(reply.inspection);
    else if (reply.kind === 'error') this.#onFailed(failureOf(reply));
  }

  override fail(problem: LockkeeperError): void {
    this.#onFailed(problem);
  }
}
