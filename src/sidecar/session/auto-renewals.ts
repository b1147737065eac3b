import type { LockkeeperError } from '../../api/codes.ts';
import type { Log } from '../../system/logger.ts';
import { type Deadline, laterOf, leftMs, lifeLimit } from './deadline.ts';
import type { OwnHold } from './own-hold.ts';
import type { Session } from './session.ts';

/** Between two log lines about lost holds, in ms. */
const LOG_EVERY_MS = 1_000;

interface AutoRenewal {
  readonly limit: Deadline;
  readonly watch: Disposable;
}

/** Holds that are renewed for their owners until they are released, lost, or have lived their longest allowed life. */
export class AutoRenewals {
  readonly #session: Session;
  readonly #log: Log;
  readonly #renewals = new WeakMap<OwnHold, AutoRenewal>();
  #nextLineAtMs = -Infinity;
  #unlogged = 0;

  constructor(session: Session, log: Log) {
    this.#session = session;
    this.#log = log;
  }

  /** Keeps the hold alive for `maxHoldMs` from its newest acknowledgement; of two such wishes the longer one counts. */
  start(hold: OwnHold, maxHoldMs: number): void {
    const { meter, renewer } = this.#session;
    const earlier = this.#renewals.get(hold);
    const own = lifeLimit(hold.deadline, maxHoldMs);
    const limit = earlier === undefined ? own : laterOf(meter, earlier.limit, own);
    const watch = renewer.watch(hold, { limit, onLost: (lost) => this.#lost(lost) });
    earlier?.watch[Symbol.dispose]();
    this.#renewals.set(hold, { limit, watch });
  }

  /** How much longer the hold will be renewed, in whole ms; `undefined` if it is not. */
  leftMs(hold: OwnHold): number | undefined {
    const renewal = this.#renewals.get(hold);
    const left = renewal === undefined ? 0 : Math.floor(leftMs(this.#session.meter, renewal.limit));
    return left > 0 ? left : undefined;
  }

  #lost({ code, details }: LockkeeperError): void {
    const nowMs = this.#session.clock.monotonicMs();
    if (this.#session.client.closed) return;
    if (nowMs < this.#nextLineAtMs) {
      this.#unlogged++;
      return;
    }
    this.#log.warn({ code, ...details, unlogged: this.#unlogged }, 'a hold that was renewed for its owner is lost');
    this.#nextLineAtMs = nowMs + LOG_EVERY_MS;
    this.#unlogged = 0;
  }
}
