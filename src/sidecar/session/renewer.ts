import type { LockkeeperError } from '../../api/codes.ts';
import type { Mark } from '../../system/clock.ts';
import { type Due, DueHeap } from '../../system/due-heap.ts';
import { type Deadline, leftMs } from './deadline.ts';
import { endsHold, notHeld, retryAfterMsOf } from './failures.ts';
import type { HoldWatcher, OwnHold } from './own-hold.ts';
import { planRenewal, renewalPauseMs } from './renewal-plan.ts';
import { RenewalRequest } from './renewal-request.ts';
import type { SessionCore } from './session-core.ts';

/** Who wants a hold kept alive. */
export interface RenewalListener {
  /** When it is not wanted any more; for ever if absent. */
  readonly limit?: Deadline | undefined;
  /** Only wants to hear how the hold ends: for its sake nothing is renewed. */
  readonly isPassive?: boolean;
  /** The limit, or the owner's own one, is reached; nothing is heard after it. */
  onLimit?(): void;
  /** Renewals go unanswered and under half the time is left. Told once until the next acknowledgement. */
  onJeopardy?(): void;
  /** The hold is gone; nothing is heard after it. Not told of a hold that this session gave back. */
  onLost?(failure: LockkeeperError): void;
}

/** Between two looks at whether the machine slept, while anything is kept alive; and what counts as sleep. */
const CLOCK_CHECK_EVERY_MS = 1_000;
const CLOCK_STEP_MS = 1_000;

/**
 * Renews every hold that somebody wants kept alive, with one timer for all. A machine that slept is noticed by its clocks:
 * the timer then is late by as much, so everything is looked at again.
 */
export class Renewer {
  readonly #core: SessionCore;
  readonly #heap = new DueHeap<Renewal>();
  #timer: Disposable | undefined = undefined;
  #timerDueAtMs = Infinity;
  #lookedAt: Mark;

  constructor(core: SessionCore) {
    this.#core = core;
    this.#lookedAt = core.meter.mark();
  }

  /** Keeps a hold alive for `listener` until the answer is disposed, the hold ends, or the listener's limit is reached. */
  watch(hold: OwnHold, listener: RenewalListener): Disposable {
    if (hold.ended) return { [Symbol.dispose]: () => {} };
    const renewal = (hold.watcher ??= new Renewal(this.#core, hold, this)) as Renewal;
    renewal.listeners.add(listener);
    this.schedule(renewal, 0);
    return {
      [Symbol.dispose]: () => {
        renewal.listeners.delete(listener);
        if (renewal.listeners.size === 0) this.forget(renewal);
      },
    };
  }

  schedule(renewal: Renewal, inMs: number): void {
    if (this.#core.client.closed) return;
    if (this.#heap.size === 0) this.#lookedAt = this.#core.meter.mark();
    this.#heap.set(renewal, this.#core.clock.monotonicMs() + inMs);
    this.#arm();
  }

  forget(renewal: Renewal): void {
    this.#heap.remove(renewal);
    renewal.stop();
    if (this.#heap.size === 0) this.#disarm();
  }

  /** Whoever listens hears that its hold is lost. */
  close(reason: LockkeeperError): void {
    this.#disarm();
    for (const renewal of this.#heap.list()) {
      this.forget(renewal);
      renewal.tellLost(reason);
    }
  }

  #arm(): void {
    const dueAtMs = Math.min(this.#heap.nextDueAtMs, this.#core.clock.monotonicMs() + CLOCK_CHECK_EVERY_MS);
    if (this.#timer !== undefined && this.#timerDueAtMs <= dueAtMs) return;
    this.#disarm();
    if (this.#heap.size === 0) return;
    this.#timerDueAtMs = dueAtMs;
    this.#timer = this.#core.timers.after(dueAtMs - this.#core.clock.monotonicMs(), () => this.#look());
  }

  #disarm(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    this.#timerDueAtMs = Infinity;
  }

  #look(): void {
    this.#disarm();
    const { meter, clock } = this.#core;
    const stepMs = meter.stepMs(this.#lookedAt);
    this.#lookedAt = meter.mark();
    if (stepMs > CLOCK_STEP_MS) for (const renewal of this.#heap.list()) renewal.look();
    const nowMs = clock.monotonicMs();
    for (let due = this.#heap.takeDue(nowMs); due !== undefined; due = this.#heap.takeDue(nowMs)) due.look();
    this.#arm();
  }
}

/** One hold that is kept alive. */
class Renewal implements Due, HoldWatcher {
  dueAtMs = Infinity;
  heapIndex = -1;
  readonly listeners = new Set<RenewalListener>();
  readonly #core: SessionCore;
  readonly #hold: OwnHold;
  readonly #renewer: Renewer;
  #request: RenewalRequest | undefined = undefined;
  #tries = 0;
  #nextTryAtMs = 0;
  #inJeopardy = false;
  /** What the newest try failed with. */
  #problem: LockkeeperError | undefined = undefined;

  constructor(core: SessionCore, hold: OwnHold, renewer: Renewer) {
    this.#core = core;
    this.#hold = hold;
    this.#renewer = renewer;
  }

  onAcknowledged(): void {
    this.#forgetRequest();
    this.#tries = 0;
    this.#inJeopardy = false;
    this.#problem = undefined;
    const { over, renew, lookAgainInMs } = this.#plan();
    this.#renewer.schedule(this, over || renew ? 0 : Math.max(0, Math.min(lookAgainInMs, this.#limitInMs())));
  }

  onEnded(lost: LockkeeperError | undefined): void {
    this.#renewer.forget(this);
    if (lost !== undefined) this.tellLost(lost);
  }

  tellLost(reason: LockkeeperError): void {
    for (const listener of [...this.listeners]) listener.onLost?.(reason);
    this.listeners.clear();
  }

  /** The hold is left to itself. */
  stop(): void {
    this.#forgetRequest();
    if (this.#hold.watcher === this) this.#hold.watcher = undefined;
  }

  /** Does what is due, and sees to it that it is looked at again. */
  look(): void {
    this.#endListeners();
    if (this.listeners.size === 0) {
      this.#renewer.forget(this);
      return;
    }
    const step = this.#plan();
    if (step.over) {
      this.#runOut();
      return;
    }
    this.#renewer.schedule(this, Math.max(1, Math.min(step.lookAgainInMs, this.#limitInMs())));
    if (!this.#isWanted) return;
    if (step.jeopardy && !this.#inJeopardy) {
      this.#inJeopardy = true;
      for (const listener of [...this.listeners]) listener.onJeopardy?.();
    }
    if (step.renew && this.#isWanted) this.#try();
  }

  get #isWanted(): boolean {
    for (const { isPassive } of this.listeners) if (isPassive !== true) return true;
    return false;
  }

  #plan(): ReturnType<typeof planRenewal> {
    const { meter, clock } = this.#core;
    return planRenewal({
      leftMs: this.#hold.leftMs(meter),
      grantedMs: this.#hold.deadline.validMs,
      tries: this.#tries,
      pauseLeftMs: this.#nextTryAtMs - clock.monotonicMs(),
      extendable: !this.#hold.capped,
    });
  }

  #endListeners(): void {
    for (const listener of [...this.listeners]) {
      if (listener.limit === undefined || leftMs(this.#core.meter, listener.limit) > 0) continue;
      this.#reachLimit(listener);
    }
  }

  #reachLimit(listener: RenewalListener): void {
    this.listeners.delete(listener);
    listener.onLimit?.();
  }

  #limitInMs(): number {
    let earliestMs = Infinity;
    for (const { limit } of this.listeners)
      if (limit !== undefined) earliestMs = Math.min(earliestMs, leftMs(this.#core.meter, limit));
    return earliestMs;
  }

  /** One more try. An earlier one that was not answered is given up; its answer still counts if it comes. */
  #try(): void {
    this.#forgetRequest();
    this.#tries++;
    this.#pause(0);
    const { key, token, ownerId } = this.#hold;
    const request = new RenewalRequest(
      this.#core,
      { key, token, ownerId, ttlMs: undefined },
      { onRenewed: () => {}, onFailed: (problem) => this.#failed(request, problem) },
    );
    this.#request = request;
    this.#core.client.ask(request);
  }

  #failed(request: RenewalRequest, problem: LockkeeperError): void {
    if (this.#request !== request) return;
    this.#request = undefined;
    if (this.#hold.ended || endsHold(problem.code)) return;
    this.#problem = problem;
    this.#pause(Math.min(retryAfterMsOf(problem), this.#hold.leftMs(this.#core.meter) / 4));
  }

  #pause(atLeastMs: number): void {
    const { clock, random } = this.#core;
    const pauseMs = Math.max(atLeastMs, renewalPauseMs(this.#hold.deadline.validMs, this.#tries, random.fraction()));
    this.#nextTryAtMs = clock.monotonicMs() + pauseMs;
    this.#renewer.schedule(this, Math.max(1, Math.min(this.#plan().lookAgainInMs, this.#limitInMs())));
  }

  #runOut(): void {
    const { key, token, capped } = this.#hold;
    // At the end of its longest allowed life nothing went wrong: whoever wants to may still give it back.
    if (capped) for (const listener of [...this.listeners]) this.#reachLimit(listener);
    const more = this.#problem === undefined ? {} : { lastCode: this.#problem.code };
    this.#core.table.end(this.#hold, notHeld(key, token, capped ? 'maxHold' : 'expired', more));
  }

  #forgetRequest(): void {
    if (this.#request !== undefined) this.#core.client.forget(this.#request);
    this.#request = undefined;
  }
}
