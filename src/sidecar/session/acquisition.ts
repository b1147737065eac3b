import type { LockkeeperError } from '../../api/codes.ts';
import type { HoldReply, Operation, Reply } from '../../api/operations.ts';
import type { Mode } from '../../api/vocabulary.ts';
import { onAbort } from '../../system/disposables.ts';
import { abortFailure, failure, failureOf, notHeld } from './failures.ts';
import type { OwnHold } from './own-hold.ts';
import { PendingRequest } from './pending-request.ts';
import { RenewalRequest } from './renewal-request.ts';
import type { Session } from './session.ts';

export interface AcquireTerms {
  readonly key: string;
  readonly ownerId: string;
  /** Whether the caller named the owner, who then may have other requests for the same lock. */
  readonly ownerNamed: boolean;
  readonly mode: Mode;
  readonly ttlMs: number | undefined;
  /** As in the operation; counted from the first time it is asked. */
  readonly timeoutMs: number;
  readonly priority?: number | undefined;
  readonly maxHoldMs: number | undefined;
  readonly metadata: Readonly<Record<string, string>> | undefined;
  /** As the caller named it; a fresh one is made otherwise, so that asking again never makes a second hold. */
  readonly requestId: string | undefined;
}

export interface AcquireOutcome {
  /** It stands in the queue. May come again after a change of the owner. */
  onQueued(position: number): void;
  /** The hold is the receiver's, who gives it back in the end. At least half of its time is left where that can be had. */
  onGranted(hold: OwnHold): void;
  onFailed(failure: LockkeeperError): void;
}

/**
 * One acquire from asking to handing on. `signal` is listened to only while it stands in the queue, and looked at before the
 * hold is handed on: most acquires are over before anybody could abort them.
 */
export class Acquisition extends PendingRequest {
  readonly #session: Session;
  readonly #terms: AcquireTerms;
  readonly #signal: AbortSignal | undefined;
  readonly #outcome: AcquireOutcome;
  #requestId: string;
  readonly #startedAtMs: number;
  #phase: 'asking' | 'refreshing' | 'over' = 'asking';
  #lane: 'outside' | 'unsettled' | 'queued' = 'outside';
  #heartbeatMs: number | undefined = undefined;
  #listener: Disposable | undefined = undefined;
  /** The granted hold, and whether this acquire counts in its depth. */
  #hold: OwnHold | undefined = undefined;
  #counted = false;

  constructor(session: Session, terms: AcquireTerms, signal: AbortSignal | undefined, outcome: AcquireOutcome) {
    super(terms.key);
    this.#session = session;
    this.#terms = terms;
    this.#signal = signal;
    this.#outcome = outcome;
    this.#requestId = terms.requestId ?? session.nextRequestId();
    this.#startedAtMs = session.clock.monotonicMs();
  }

  /** Asks. */
  start(): void {
    this.#enterLane();
    this.#session.client.ask(this);
  }

  /** Leaves the queue, or gives the hold back. Nothing happens once it was handed on. */
  abort(reason: unknown): void {
    if (this.#phase === 'over') return;
    if (this.#phase === 'asking') this.#session.client.withdraw(this);
    this.#end(abortFailure(reason));
  }

  override operation(ref: number): Operation {
    const { key, ownerId, mode, ttlMs, priority, maxHoldMs, metadata } = this.#terms;
    return {
      op: 'acquire',
      ref,
      key,
      ownerId,
      mode,
      ttlMs,
      timeoutMs: this.#timeoutLeftMs(),
      priority,
      maxHoldMs,
      metadata,
      requestId: this.#requestId,
    };
  }

  override onReply(reply: Reply): void {
    if (reply.kind === 'queued') this.#queued(reply.position);
    else if (reply.kind === 'hold') this.#granted(reply);
    else if (reply.kind === 'error') this.#end(failureOf(reply));
  }

  override fail(reason: LockkeeperError): void {
    this.#end(reason);
  }

  override onOwnerChange(): boolean {
    this.#enterLane();
    return true;
  }

  #timeoutLeftMs(): number {
    const { timeoutMs } = this.#terms;
    if (timeoutMs <= 0) return timeoutMs;
    const waitedMs = this.#session.clock.monotonicMs() - this.#startedAtMs;
    return Math.max(1, Math.ceil(timeoutMs - waitedMs));
  }

  #queued(position: number): void {
    this.#heartbeatMs ??= this.#session.heartbeat.enter(this.key, this.#terms.ttlMs);
    if (this.#signal !== undefined) this.#listener ??= onAbort(this.#signal, (reason) => this.abort(reason));
    if (this.#lane === 'unsettled') {
      this.#lane = 'queued';
      this.#session.lanes.queue(this.key, this.#terms.ownerId);
    }
    this.#outcome.onQueued(position);
  }

  #granted(reply: HoldReply): void {
    const { client, endedTokens, heartbeat, meter } = this.#session;
    if (endedTokens.has(reply.key, reply.token)) {
      // What the id led to has ended, and the owner may remember that.
      if (this.#terms.requestId === undefined) this.#requestId = this.#session.nextRequestId();
      this.#enterLane();
      client.rejectAnswer(this);
      return;
    }
    this.#stopWaiting();
    if (this.#terms.ttlMs === undefined) heartbeat.learn(reply.key, reply.ttlMs);
    const hold = this.#takeUp(reply);
    this.#hold = hold;
    const halfMs = Math.min(hold.ttlMs, this.#terms.maxHoldMs ?? Infinity) / 2;
    if (hold.leftMs(meter) >= halfMs) this.#handOn();
    else this.#refresh(hold);
    // Last: what waited for it may be a release, which must not show in the answer.
    this.#leaveLane();
  }

  #takeUp(reply: HoldReply): OwnHold {
    const { table, client, meter, lanes } = this.#session;
    const { requestId } = this.#terms;
    const deadline = client.deadlineOf(reply);
    const known = table.find(reply.key, reply.token);
    if (known !== undefined) {
      this.#counted = known.count(requestId);
      known.acknowledge(meter, reply, deadline);
      return known;
    }
    this.#counted = true;
    // Re-entries whose answers are still to come count themselves.
    const others = lanes.unsettled(reply.key, reply.ownerId) - (this.#lane === 'unsettled' ? 1 : 0);
    const hold = table.insert(reply, deadline, Math.max(1, reply.depth - others));
    if (requestId !== undefined) hold.remember(requestId);
    return hold;
  }

  /** Much of its time passed on the way: it is renewed before it is handed on. */
  #refresh(hold: OwnHold): void {
    this.#phase = 'refreshing';
    if (this.#signal !== undefined) this.#listener ??= onAbort(this.#signal, (reason) => this.abort(reason));
    const { key, token, ownerId } = hold;
    const proceed = () => {
      if (this.#phase === 'refreshing') this.#handOn();
    };
    this.#session.client.ask(
      new RenewalRequest(
        this.#session,
        { key, token, ownerId, ttlMs: undefined },
        { onRenewed: proceed, onFailed: proceed },
      ),
    );
  }

  #handOn(): void {
    const hold = this.#hold;
    if (hold === undefined) return;
    if (this.#signal?.aborted === true) this.#end(abortFailure(this.#signal.reason));
    else if (hold.ended) this.#end(notHeld(hold.key, hold.token));
    else if (hold.leftMs(this.#session.meter) <= 0) this.#end(failure('UNAVAILABLE', { reason: 'grantTooLate' }));
    else {
      this.#phase = 'over';
      this.#stopWaiting();
      this.#outcome.onGranted(hold);
    }
  }

  #end(reason: LockkeeperError): void {
    if (this.#phase === 'over') return;
    this.#phase = 'over';
    this.#stopWaiting();
    this.#leaveLane();
    if (this.#hold !== undefined && this.#counted) this.#session.releaser.giveBack(this.#hold, true);
    this.#outcome.onFailed(reason);
  }

  #stopWaiting(): void {
    if (this.#heartbeatMs !== undefined) this.#session.heartbeat.leave(this.#heartbeatMs);
    this.#heartbeatMs = undefined;
    this.#listener?.[Symbol.dispose]();
    this.#listener = undefined;
  }

  #enterLane(): void {
    const { lanes } = this.#session;
    if (!this.#terms.ownerNamed || this.#lane === 'unsettled') return;
    if (this.#lane === 'outside') lanes.enter(this.key, this.#terms.ownerId);
    else lanes.reenter(this.key, this.#terms.ownerId);
    this.#lane = 'unsettled';
  }

  #leaveLane(): void {
    if (this.#lane === 'outside') return;
    const wasQueued = this.#lane === 'queued';
    this.#lane = 'outside';
    this.#session.lanes.leave(this.key, this.#terms.ownerId, wasQueued);
  }
}
