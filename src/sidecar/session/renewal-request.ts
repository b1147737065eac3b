import type { LockkeeperError } from '../../api/codes.ts';
import type { HoldReply, Operation, Reply } from '../../api/operations.ts';
import { endsHold, failureOf, notHeld } from './failures.ts';
import type { OwnHold } from './own-hold.ts';
import { PendingRequest } from './pending-request.ts';
import type { SessionCore } from './session-core.ts';

export interface RenewalTerms {
  readonly key: string;
  readonly token: number;
  readonly ownerId: string | undefined;
  /** The hold's own time to live if absent. */
  readonly ttlMs: number | undefined;
}

export interface RenewalOutcome {
  onRenewed(hold: OwnHold): void;
  onFailed(failure: LockkeeperError): void;
}

/** A capped expiry is told apart from rounding by more than this. */
const ROUNDING_MS = 1;

/** Extends a hold; the table knows the result before the outcome does. */
export class RenewalRequest extends PendingRequest {
  readonly #core: SessionCore;
  readonly #terms: RenewalTerms;
  readonly #outcome: RenewalOutcome;
  /** As known when it was asked: one that is given back meanwhile must not come back to life. */
  readonly #hold: OwnHold | undefined;

  constructor(core: SessionCore, terms: RenewalTerms, outcome: RenewalOutcome) {
    super(terms.key);
    this.#core = core;
    this.#terms = terms;
    this.#outcome = outcome;
    this.#hold = core.table.find(terms.key, terms.token);
  }

  override operation(ref: number): Operation {
    const { key, token, ownerId, ttlMs } = this.#terms;
    return { op: 'renew', ref, key, token, ownerId, ttlMs };
  }

  override onReply(reply: Reply): void {
    if (reply.kind === 'hold') this.#renewed(reply);
    else if (reply.kind === 'error') this.#refused(failureOf(reply));
  }

  override fail(failure: LockkeeperError): void {
    this.#outcome.onFailed(failure);
  }

  #renewed(reply: HoldReply): void {
    const { table, meter, client, endedTokens } = this.#core;
    const known = table.find(reply.key, reply.token) ?? this.#hold;
    if (this.#hold?.ended === true || endedTokens.has(reply.key, reply.token)) {
      this.#outcome.onFailed(notHeld(reply.key, reply.token));
      return;
    }
    const deadline = client.deadlineOf(reply);
    const hold = known ?? table.insert(reply, deadline, reply.depth);
    if (table.find(hold.key, hold.token) === undefined) table.restore(hold);
    hold.capped = reply.remainingMs < reply.ttlMs - ROUNDING_MS;
    hold.acknowledge(meter, reply, deadline);
    this.#outcome.onRenewed(hold);
  }

  #refused(failure: LockkeeperError): void {
    const { table } = this.#core;
    const hold = this.#hold ?? table.find(this.#terms.key, this.#terms.token);
    // A wrong ownerId is refused in the same words and says nothing about the hold.
    const named = this.#terms.ownerId;
    if (hold !== undefined && endsHold(failure.code) && (named === undefined || named === hold.ownerId))
      table.end(hold, failure);
    this.#outcome.onFailed(failure);
  }
}
