import { LockkeeperError } from '../../api/codes.ts';
import type { HoldEvent } from '../../api/responses.ts';
import { onAbort } from '../../system/disposables.ts';
import type { CallContext } from '../calls.ts';
import { type AcquireOutcome, type AcquireTerms, Acquisition } from './acquisition.ts';
import { lifeLimit } from './deadline.ts';
import { abortFailure, notHeld } from './failures.ts';
import { holdAnswer } from './hold-answer.ts';
import { HoldEvents, lostEvent, type UnreadEvent } from './hold-events.ts';
import type { OwnHold } from './own-hold.ts';
import type { RenewalListener } from './renewer.ts';
import type { Session } from './session.ts';

/** Between two pings, in ms: well below the idle limits of common clients. */
const PING_EVERY_MS = 5_000;

interface Reader {
  resolve(result: IteratorResult<HoldEvent, undefined>): void;
  reject(failure: LockkeeperError): void;
}

/**
 * One `:hold` stream: acquires when the first event is asked for, renews while somebody listens, gives back when nobody does.
 * One reader at a time. An error before the first event rejects; any later one is the event `lost`.
 */
export class HoldStream implements AsyncIterableIterator<HoldEvent, undefined> {
  readonly #session: Session;
  readonly #terms: () => AcquireTerms;
  readonly #context: CallContext;
  #events = new HoldEvents();
  #reader: Reader | undefined = undefined;
  #phase: 'idle' | 'acquiring' | 'held' | 'over' = 'idle';
  #acquisition: Acquisition | undefined = undefined;
  #hold: OwnHold | undefined = undefined;
  #maxHoldMs: number | undefined = undefined;
  #grantRead = false;
  #told = false;
  #listener: Disposable | undefined = undefined;
  #watch: Disposable | undefined = undefined;
  #ping: Disposable | undefined = undefined;

  /** `terms` is asked for with the first event, and may throw. */
  constructor(session: Session, terms: () => AcquireTerms, context: CallContext) {
    this.#session = session;
    this.#terms = terms;
    this.#context = context;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<HoldEvent, undefined>> {
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject };
      if (this.#phase === 'idle') this.#start();
      this.#deliver();
    });
  }

  /** Nobody listens any more. */
  return(): Promise<IteratorResult<HoldEvent, undefined>> {
    this.#leave(undefined);
    this.#events = new HoldEvents();
    return Promise.resolve({ done: true, value: undefined });
  }

  #start(): void {
    this.#phase = 'over';
    const terms = this.#terms();
    this.#phase = 'acquiring';
    this.#maxHoldMs = terms.maxHoldMs;
    const outcome: AcquireOutcome = {
      onQueued: (position) => this.#queued(position),
      onGranted: (hold) => this.#granted(hold),
      onFailed: (failure) => this.#failed(failure),
    };
    this.#listener = onAbort(this.#context.signal, (reason) => this.#leave(abortFailure(reason)));
    this.#acquisition = new Acquisition(this.#session, terms, undefined, outcome);
    this.#acquisition.start();
  }

  #queued(position: number): void {
    if (this.#told) return;
    this.#told = true;
    this.#events.queued(position);
    this.#deliver();
  }

  #granted(hold: OwnHold): void {
    const { renewer } = this.#session;
    const maxHoldMs = this.#maxHoldMs;
    this.#phase = 'held';
    this.#told = true;
    this.#hold = hold;
    const listener: RenewalListener = {
      limit: maxHoldMs === undefined ? undefined : lifeLimit(hold.deadline, maxHoldMs),
      onLimit: () => this.#runOut(hold),
      onJeopardy: () => {
        this.#events.jeopardy();
        this.#deliver();
      },
      onLost: (failure) => this.#end(failure),
    };
    this.#watch = renewer.watch(hold, listener);
    this.#pingLater();
    this.#events.granted();
    this.#deliver();
  }

  /** Its longest life is over. What was told about its time stays true: it is given back once that has passed. */
  #runOut(hold: OwnHold): void {
    const over = notHeld(hold.key, hold.token, 'maxHold');
    if (hold.leftMs(this.#session.meter) <= 0) {
      this.#leave(over);
      return;
    }
    const limit = hold.deadline;
    const onLost = (failure: LockkeeperError) => this.#end(failure);
    this.#watch = this.#session.renewer.watch(hold, {
      ...{ isPassive: true, limit, onLost },
      // Somebody else may have renewed it meanwhile.
      onLimit: () => this.#runOut(hold),
    });
  }

  #failed(failure: LockkeeperError): void {
    if (this.#phase !== 'acquiring') return;
    this.#end(failure);
  }

  #pingLater(): void {
    this.#ping = this.#session.timers.after(PING_EVERY_MS, () => {
      this.#events.ping();
      this.#deliver();
      if (this.#phase === 'held') this.#pingLater();
    });
  }

  /** Gives up what there is: the place in the queue, or the hold. */
  #leave(why: LockkeeperError | undefined): void {
    if (this.#phase === 'over') return;
    const hold = this.#hold;
    const acquisition = this.#phase === 'acquiring' ? this.#acquisition : undefined;
    this.#end(why);
    acquisition?.abort(why);
    if (hold !== undefined) this.#session.releaser.giveBack(hold, !this.#grantRead);
  }

  #end(why: LockkeeperError | undefined): void {
    if (this.#phase === 'over') return;
    this.#stop();
    const reader = this.#reader;
    if (why !== undefined && !this.#told && reader !== undefined) {
      this.#reader = undefined;
      reader.reject(why);
      return;
    }
    if (why !== undefined) this.#events.lost(why);
    this.#deliver();
  }

  #stop(): void {
    this.#phase = 'over';
    this.#listener?.[Symbol.dispose]();
    this.#watch?.[Symbol.dispose]();
    this.#ping?.[Symbol.dispose]();
  }

  #deliver(): void {
    const reader = this.#reader;
    if (reader === undefined) return;
    const unread = this.#events.take();
    if (unread === undefined && this.#phase !== 'over') return;
    this.#reader = undefined;
    if (unread === undefined) reader.resolve({ done: true, value: undefined });
    else reader.resolve({ done: false, value: this.#eventOf(unread) });
  }

  #eventOf(unread: UnreadEvent): HoldEvent {
    if (unread.event === 'queued') return unread;
    if (unread.event === 'lost') return lostEvent(unread.failure);
    const hold = this.#hold;
    if (hold === undefined) throw new LockkeeperError('INTERNAL', 'an event of a hold came before the hold');
    if (unread.event === 'granted') {
      this.#grantRead = true;
      return { event: 'granted', hold: holdAnswer(hold, this.#session, this.#context.receivedAtMs) };
    }
    const leftMs = Math.max(0, Math.floor(hold.leftMs(this.#session.meter)));
    return { event: unread.event, validForMs: leftMs };
  }
}
