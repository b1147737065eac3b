import { LockkeeperError } from '../../api/codes.ts';
import { compareForAcquireAll } from '../../api/shard-hash.ts';
import { type AcquireTerms, Acquisition } from './acquisition.ts';
import { abortFailure, failure, notHeld } from './failures.ts';
import type { OwnHold } from './own-hold.ts';
import type { Session } from './session.ts';

/** What all the locks are asked for with; the key is each one's own. */
export type SharedTerms = Omit<AcquireTerms, 'key' | 'requestId'>;

/**
 * Takes several locks or none. One after the other in the one global order, so that two of these never wait for each other in
 * a circle; what is taken is kept alive while the next is waited for. The answer is by key.
 */
export class AcquireAll {
  readonly #session: Session;
  readonly #terms: SharedTerms;
  readonly #signal: AbortSignal;
  readonly #startedAtMs: number;
  readonly #taken = new Map<string, { readonly hold: OwnHold; readonly watch: Disposable }>();
  /** Why what was taken cannot be kept. */
  #lost: LockkeeperError | undefined = undefined;
  #current: Acquisition | undefined = undefined;

  constructor(session: Session, terms: SharedTerms, signal: AbortSignal) {
    this.#session = session;
    this.#terms = terms;
    this.#signal = signal;
    this.#startedAtMs = session.clock.monotonicMs();
  }

  /** Rejects with the first failure, when everything taken until then is on its way back. */
  async take(keys: readonly string[]): Promise<ReadonlyMap<string, OwnHold>> {
    try {
      for (const key of keys.toSorted(compareForAcquireAll)) {
        // One after the other is the point.
        const hold = await this.#acquire(key);
        this.#keep(hold);
        if (this.#lost !== undefined) throw this.#lost;
      }
      await this.#refreshOld();
      this.#check();
    } catch (error) {
      for (const { hold, watch } of this.#taken.values()) {
        watch[Symbol.dispose]();
        this.#session.releaser.giveBack(hold, true);
      }
      throw LockkeeperError.from(error);
    }
    for (const { watch } of this.#taken.values()) watch[Symbol.dispose]();
    return new Map([...this.#taken].map(([key, { hold }]) => [key, hold]));
  }

  #acquire(key: string): Promise<OwnHold> {
    const waitedMs = this.#session.clock.monotonicMs() - this.#startedAtMs;
    const { timeoutMs } = this.#terms;
    const terms = { ...this.#terms, key, requestId: undefined, timeoutMs: timeoutLeftMs(timeoutMs, waitedMs) };
    return new Promise((resolve, reject) => {
      this.#current = new Acquisition(this.#session, terms, this.#signal, {
        onQueued: () => {},
        onGranted: resolve,
        onFailed: (problem) => reject(this.#inAll(problem)),
      });
      this.#current.start();
    });
  }

  #keep(hold: OwnHold): void {
    const watch = this.#session.renewer.watch(hold, {
      onLost: (lost) => {
        this.#lost ??= lost;
        this.#current?.abort(lost);
      },
    });
    this.#taken.set(hold.key, { hold, watch });
    if (hold.ended) this.#lost ??= notHeld(hold.key, hold.token);
  }

  /** Every hold is handed on with at least half of its time left, where that can be had. */
  async #refreshOld(): Promise<void> {
    const { meter } = this.#session;
    const refreshed: Promise<unknown>[] = [];
    for (const { hold } of this.#taken.values()) {
      if (hold.leftMs(meter) >= hold.ttlMs / 2) continue;
      const { key, token, ownerId } = hold;
      refreshed.push(this.#session.renew({ key, token, ownerId, ttlMs: undefined }).catch(() => {}));
    }
    await Promise.all(refreshed);
  }

  #check(): void {
    if (this.#signal.aborted) throw abortFailure(this.#signal.reason);
    if (this.#lost !== undefined) throw this.#lost;
    for (const { hold } of this.#taken.values())
      if (hold.ended || hold.leftMs(this.#session.meter) <= 0) throw notHeld(hold.key, hold.token, 'expired');
  }

  /** The wait is that for all of them. */
  #inAll(problem: LockkeeperError): LockkeeperError {
    if (problem.code !== 'ACQUIRE_TIMEOUT') return problem;
    const waitedMs = Math.round(this.#session.clock.monotonicMs() - this.#startedAtMs);
    return failure(problem.code, { ...problem.details, waitedMs });
  }
}

function timeoutLeftMs(timeoutMs: number, waitedMs: number): number {
  return timeoutMs <= 0 ? timeoutMs : Math.max(1, Math.ceil(timeoutMs - waitedMs));
}
