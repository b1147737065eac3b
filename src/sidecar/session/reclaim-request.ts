import type { LockkeeperError } from '../../api/codes.ts';
import type { HoldReply, Operation, Reply } from '../../api/operations.ts';
import type { Mode } from '../../api/vocabulary.ts';
import type { Deadline } from './deadline.ts';
import { failureOf } from './failures.ts';
import type { OwnHold } from './own-hold.ts';
import { PendingRequest } from './pending-request.ts';

/** A hold as it is declared. */
export interface DeclaredHold {
  readonly key: string;
  readonly token: number;
  readonly ownerId: string;
  readonly mode: Mode;
  readonly depth: number;
  readonly ttlMs: number;
  /** Until when it is relied on; absent for a hold that is not, because another process saved it. */
  readonly deadline?: Deadline | undefined;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
}

export interface ReclaimOutcome {
  /** False once nobody wants the hold any more: a new owner is then not asked. */
  isWanted(): boolean;
  onReclaimed(reply: HoldReply): void;
  onFailed(failure: LockkeeperError): void;
}

/** Declares a hold to the owner of its shard. */
export class ReclaimRequest extends PendingRequest {
  readonly #declared: DeclaredHold;
  readonly #outcome: ReclaimOutcome;

  constructor(declared: DeclaredHold, outcome: ReclaimOutcome) {
    super(declared.key);
    this.#declared = declared;
    this.#outcome = outcome;
  }

  override get isReclaim(): boolean {
    return true;
  }

  override operation(ref: number): Operation {
    const { key, token, ownerId, mode, depth, metadata, deadline } = this.#declared;
    // A renewal that asked for less left the earlier, longer promise in force: the new owner must not free before it.
    const ttlMs = Math.max(this.#declared.ttlMs, Math.ceil(deadline?.grantedMs ?? 0));
    return { op: 'reclaim', ref, key, token, ownerId, mode, depth: Math.max(1, depth), ttlMs, metadata };
  }

  override onReply(reply: Reply): void {
    if (reply.kind === 'hold') this.#outcome.onReclaimed(reply);
    else if (reply.kind === 'error') this.#outcome.onFailed(failureOf(reply));
  }

  override fail(failure: LockkeeperError): void {
    this.#outcome.onFailed(failure);
  }

  override onOwnerChange(): boolean {
    return this.#outcome.isWanted();
  }
}

/** Declares a hold that is about to be released; the release tells the rest. */
export function declarationOf(hold: OwnHold): ReclaimRequest {
  return new ReclaimRequest(hold, { isWanted: () => false, onReclaimed: () => {}, onFailed: () => {} });
}
