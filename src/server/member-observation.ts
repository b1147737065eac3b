import type { StoredLease } from '../kube/lease.ts';
import type { LeaseStore } from '../kube/lease-store.ts';
import type { Clock } from '../system/clock.ts';
import type { Timers } from '../system/timers.ts';
import { MEMBER_LABEL, MEMBER_LEASE_DURATION_MS } from './member.ts';

/** No version of this software gives a member Lease a longer life. */
const SILENCE_MS_MAX = 60_000;
/** Pause before a watch that ended is opened again. */
const REWATCH_MS = 1_000;

export interface MemberObservationOptions {
  readonly store: LeaseStore;
  readonly namespace: string;
  readonly clock: Clock;
  readonly timers: Timers;
}

/**
 * Since when one member Lease has been as it is, as seen here. What counts is that the version which a read shows after the silence
 * is the one whose silence was observed. A watch only makes it quicker: the observation begins with the last renewal and not with
 * the first look after it, and a member that leaves is not waited for. Without its events all is later, and nothing else.
 */
export class MemberObservation implements Disposable {
  readonly #options: MemberObservationOptions;
  readonly #name: string;
  /** `lease` is `undefined` while there is none. */
  #seen: { readonly lease: StoredLease | undefined; readonly sinceMs: number } | undefined;
  #watch: Disposable | undefined;
  #watchPause: Disposable | undefined;
  #timer: Disposable | undefined;
  #look: (() => void) | undefined;

  constructor(options: MemberObservationOptions, name: string) {
    this.#options = options;
    this.#name = name;
  }

  /** Takes what is there now. Answers when, on the monotonic clock, it will have been silent for its whole duration. */
  note(lease: StoredLease | undefined): number {
    if (this.#seen === undefined || this.#seen.lease?.metadata.resourceVersion !== lease?.metadata.resourceVersion)
      this.#seen = { lease, sinceMs: this.#options.clock.monotonicMs() };
    return this.#seen.sinceMs + durationMsOf(lease);
  }

  /** Resolves when a read is worth it: the Lease has been silent for its duration, or somebody emptied or removed it. */
  nextLook(): Promise<void> {
    this.#openWatch();
    return new Promise((resolve) => {
      this.#look = resolve;
      this.#awaitSilence();
    });
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    this.#watch?.[Symbol.dispose]();
    this.#watchPause?.[Symbol.dispose]();
    this.#look = undefined;
  }

  #awaitSilence(): void {
    if (this.#seen === undefined) return;
    const { clock, timers } = this.#options;
    this.#timer?.[Symbol.dispose]();
    const dueMs = this.#seen.sinceMs + durationMsOf(this.#seen.lease);
    this.#timer = timers.after(dueMs - clock.monotonicMs(), () => this.#lookNow());
  }

  #lookNow(): void {
    this.#timer?.[Symbol.dispose]();
    const look = this.#look;
    this.#look = undefined;
    look?.();
  }

  #openWatch(): void {
    const resourceVersion = this.#seen?.lease?.metadata.resourceVersion;
    if (this.#watch !== undefined || this.#watchPause !== undefined || resourceVersion === undefined) return;
    const { store, namespace } = this.#options;
    try {
      this.#watch = store.watch({ namespace, labelSelector: MEMBER_LABEL, resourceVersion }, (event) => {
        if (event.type === 'ERROR') this.#rewatchLater();
        else if ('lease' in event && event.lease.metadata.name === this.#name) this.#onEvent(event.type, event.lease);
      });
    } catch {
      this.#rewatchLater();
    }
  }

  #rewatchLater(): void {
    this.#watch = undefined;
    this.#watchPause = this.#options.timers.after(REWATCH_MS, () => {
      this.#watchPause = undefined;
      this.#openWatch();
    });
  }

  #onEvent(type: 'ADDED' | 'MODIFIED' | 'DELETED', lease: StoredLease): void {
    if (type === 'DELETED' || lease.spec.holderIdentity !== this.#seen?.lease?.spec.holderIdentity) this.#lookNow();
    else {
      this.note(lease);
      this.#awaitSilence();
    }
  }
}

/** What is recorded may have been edited: never less than a member relies on, and not for ever. */
function durationMsOf(lease: StoredLease | undefined): number {
  const recordedMs = (lease?.spec.leaseDurationSeconds ?? 0) * 1_000;
  return Math.min(SILENCE_MS_MAX, Math.max(MEMBER_LEASE_DURATION_MS, recordedMs));
}
