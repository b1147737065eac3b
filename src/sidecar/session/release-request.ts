import type { LockkeeperError } from '../../api/codes.ts';
import { lockKindOf } from '../../api/lock-id.ts';
import type { Operation, Reply } from '../../api/operations.ts';
import { failureOf } from './failures.ts';
import type { OwnHold } from './own-hold.ts';
import { PendingRequest } from './pending-request.ts';
import { declarationOf } from './reclaim-request.ts';
import type { SessionCore } from './session-core.ts';

export interface ReleaseTerms {
  readonly key: string;
  readonly token: number;
  readonly ownerId: string | undefined;
  /** The depth to leave; one less than the owner knows of if absent. */
  readonly leaveDepth: number | undefined;
  /** The grant reached nobody. */
  readonly disowned: boolean;
  /** The hold as it was known here. */
  readonly hold: OwnHold | undefined;
}

export interface ReleaseOutcome {
  /** With the depth left. */
  onReleased(depth: number): void;
  onFailed(failure: LockkeeperError): void;
}

/** Gives back one depth, or a whole hold. The table has been told before this is asked. */
export class ReleaseRequest extends PendingRequest {
  readonly #core: SessionCore;
  readonly #terms: ReleaseTerms;
  readonly #outcome: ReleaseOutcome;
  /** The owner that is asked may not know the hold, or may know it as released. */
  #ownerChanged: boolean;

  constructor(core: SessionCore, terms: ReleaseTerms, outcome: ReleaseOutcome) {
    super(terms.key);
    this.#core = core;
    this.#terms = terms;
    this.#outcome = outcome;
    this.#ownerChanged = terms.hold?.reclaiming === true;
    if (this.#ownerChanged) this.#declare();
  }

  override operation(ref: number): Operation {
    const { key, token, ownerId, leaveDepth, disowned } = this.#terms;
    const operation = { op: 'release', ref, key, token, ownerId, leaveDepth } as const;
    return disowned ? { ...operation, disowned } : operation;
  }

  override onReply(reply: Reply): void {
    if (reply.kind === 'released') this.#outcome.onReleased(reply.depth);
    else if (reply.kind === 'error') this.#refused(failureOf(reply));
  }

  override fail(failure: LockkeeperError): void {
    this.#outcome.onFailed(failure);
  }

  override onOwnerChange(): boolean {
    this.#ownerChanged = true;
    this.#declare();
    return true;
  }

  /**
   * The new owner of a DistributedLock that found the hold on record releases it only once it was declared. A pool key is not
   * declared: the earlier owner may have released it already and granted the key to somebody else, whose claim counts.
   */
  #declare(): void {
    const { hold } = this.#terms;
    if (hold !== undefined && lockKindOf(this.key) === 'lock') this.#core.client.ask(declarationOf(hold));
  }

  #refused(failure: LockkeeperError): void {
    // The earlier owner did it, or died with the hold: either way it is given back.
    if (this.#ownerChanged && failure.code === 'NOT_HELD' && this.#terms.hold?.ended === true)
      this.#outcome.onReleased(0);
    else this.#outcome.onFailed(failure);
  }
}
