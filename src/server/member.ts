import type { Lease, StoredLease } from '../kube/lease.ts';
import { formatMicroTime } from '../kube/lease.ts';
import { type LeaseStore, StoreError } from '../kube/lease-store.ts';
import { type Clock, type Mark, ProgressMeter } from '../system/clock.ts';
import type { Log } from '../system/logger.ts';
import type { Random } from '../system/random.ts';
import type { Timers } from '../system/timers.ts';
import { MANAGED_BY, MANAGED_BY_LABEL } from './lease-fields.ts';

/** Life of a member Lease without a renewal. Written on it: a taker waits for what it reads there. */
export const MEMBER_LEASE_DURATION_MS = 6_000;
const RENEW_EVERY_MS = 2_000;
const RETRY_EVERY_MS = 250;
/** Drift in rate between two clocks over one lease, and the time between a check and the write after it. */
const MARGIN_MS = 50 + MEMBER_LEASE_DURATION_MS * 0.02;
/** A wall clock that ran this far ahead of the monotonic one: the machine slept, or somebody set it. Ask the store first. */
const STEP_MS = 1_000;

const MEMBER_LABEL = 'lockkeeper.dev/member';

export interface MemberOptions {
  readonly store: LeaseStore;
  /** The operator's namespace. */
  readonly namespace: string;
  /** Name of this replica's pod, the readable part of its incarnation. */
  readonly podName: string;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly log: Log;
}

/**
 * - `valid`: this incarnation may acknowledge.
 * - `unsure`: it must renew first (`confirm`); nothing is acknowledged meanwhile.
 * - `lost`: for ever. Drop everything and join anew.
 */
export type Authority = 'valid' | 'unsure' | 'lost';

/**
 * This process's life as an owner: a Lease of its own with a fresh incarnation, renewed by compare-and-swap. Whoever wants its
 * shards must first see the Lease unchanged for its whole duration and then empty it, on the very version that was silent; a
 * late renewal then fails. Validity counts from the *send* of the last renewal that landed, by the larger progress of both
 * clocks, so that a stopped or slept process finds its authority gone before it can acknowledge anything.
 */
export class Member implements AsyncDisposable {
  readonly incarnation: string;
  readonly #options: MemberOptions;
  readonly #meter: ProgressMeter;
  #lease: StoredLease;
  #mark: Mark;
  #lost: string | undefined;
  #doubted = false;
  #renewing: Promise<void> | undefined;
  #timer: Disposable;
  /** Called once, when the authority is found to be gone. */
  onLost: (reason: string) => void = () => {};

  private constructor(options: MemberOptions, incarnation: string, lease: StoredLease, mark: Mark) {
    this.#options = options;
    this.#meter = new ProgressMeter(options.clock);
    this.incarnation = incarnation;
    this.#lease = lease;
    this.#mark = mark;
    this.#timer = this.#schedule(RENEW_EVERY_MS);
  }

  /** Begins a new incarnation. Rejects with the store's error if its Lease cannot be made. */
  static async join(options: MemberOptions): Promise<Member> {
    const incarnation = `${options.podName}-${options.random.uuid().slice(0, 13)}`;
    const meter = new ProgressMeter(options.clock);
    for (let attempt = 1; ; attempt++) {
      const mark = meter.mark();
      try {
        const lease = await options.store.create(memberLease(options, incarnation));
        return new Member(options, incarnation, lease, mark);
      } catch (error) {
        if (!(error instanceof StoreError) || attempt >= 20) throw error;
        if (error.outcome === 'conflict' || error.outcome === 'unknown') {
          // The name is random: if it is there, an attempt of ours landed. Its send is the older one, so the mark is safe.
          const found = await options.store.get(options.namespace, memberLeaseName(incarnation)).catch(() => undefined);
          if (found !== undefined) return new Member(options, incarnation, found, mark);
        } else if (!error.retryable) throw error;
        await new Promise<void>((resolve) => options.timers.after(RETRY_EVERY_MS, resolve));
      }
    }
  }

  authority(): Authority {
    if (this.#lost !== undefined) return 'lost';
    if (this.#meter.elapsedSince(this.#mark) >= MEMBER_LEASE_DURATION_MS - MARGIN_MS) {
      this.#lose('its Lease was not renewed in time');
      return 'lost';
    }
    return this.#doubted || this.#meter.stepMs(this.#mark) > STEP_MS ? 'unsure' : 'valid';
  }

  /** Something was noticed that the clocks may not show, such as a stalled loop: renew before the next acknowledgement. */
  doubt(): void {
    this.#doubted = true;
  }

  /** Resolves when a renewal that was sent after this call has landed, or the authority is lost. Never rejects. */
  async confirm(): Promise<void> {
    await this.#renewing;
    await this.#renew();
  }

  /** Ends this incarnation at once: its shards may be taken without waiting for silence. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#lost ??= 'it left';
    this.#timer[Symbol.dispose]();
    await this.#renewing;
    await this.#options.store
      .delete(this.#options.namespace, this.#lease.metadata.name, this.#lease.metadata.resourceVersion)
      .catch(() => undefined);
  }

  #schedule(delayMs: number): Disposable {
    return this.#options.timers.after(delayMs, () => {
      if (this.authority() !== 'lost') void this.#renew();
    });
  }

  #renew(): Promise<void> {
    this.#renewing ??= this.#renewOnce().finally(() => {
      this.#renewing = undefined;
    });
    return this.#renewing;
  }

  async #renewOnce(): Promise<void> {
    if (this.#lost !== undefined) return;
    const { store, clock, log } = this.#options;
    const mark = this.#meter.mark();
    this.#timer[Symbol.dispose]();
    let nextMs = RENEW_EVERY_MS;
    try {
      const spec = { ...this.#lease.spec, renewTime: formatMicroTime(clock.wallMs()) };
      this.#lease = await store.update({ metadata: this.#lease.metadata, spec });
      this.#mark = mark;
      this.#doubted = false;
    } catch (error) {
      nextMs = RETRY_EVERY_MS;
      log.warn({ incarnation: this.incarnation, error }, 'could not renew the member lease');
      if (!(error instanceof StoreError) || error.outcome === 'conflict' || error.outcome === 'notFound') {
        nextMs = await this.#reread();
      }
    }
    if (this.authority() !== 'lost') this.#timer = this.#schedule(nextMs);
  }

  /** Another version is there: an earlier renewal of unknown outcome, or the end. */
  async #reread(): Promise<number> {
    const { store, namespace } = this.#options;
    try {
      const found = await store.get(namespace, this.#lease.metadata.name);
      if (found?.spec.holderIdentity !== this.incarnation) {
        this.#lose(found === undefined ? 'its Lease was deleted' : 'another replica fenced it');
      } else {
        this.#lease = found;
        return 0;
      }
    } catch {
      // Not known yet; the deadline decides.
    }
    return RETRY_EVERY_MS;
  }

  #lose(reason: string): void {
    if (this.#lost !== undefined) return;
    this.#lost = reason;
    this.#timer[Symbol.dispose]();
    this.#options.log.error({ incarnation: this.incarnation, reason }, 'lost the authority over all shards');
    this.onLost(reason);
  }
}

/** Name of an incarnation's member Lease, in the operator's namespace. */
export function memberLeaseName(incarnation: string): string {
  return `lockkeeper-member-${incarnation}`;
}

function memberLease(options: MemberOptions, incarnation: string): Lease {
  const now = formatMicroTime(options.clock.wallMs());
  return {
    metadata: {
      namespace: options.namespace,
      name: memberLeaseName(incarnation),
      labels: { [MANAGED_BY_LABEL]: MANAGED_BY, [MEMBER_LABEL]: options.podName },
    },
    spec: {
      holderIdentity: incarnation,
      leaseDurationSeconds: MEMBER_LEASE_DURATION_MS / 1000,
      acquireTime: now,
      renewTime: now,
      leaseTransitions: 0,
    },
  };
}
