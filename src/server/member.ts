import type { Lease, StoredLease } from '../kube/lease.ts';
import { formatMicroTime } from '../kube/lease.ts';
import { type LeaseStore, StoreError } from '../kube/lease-store.ts';
import { type Clock, type Mark, ProgressMeter } from '../system/clock.ts';
import type { Log } from '../system/logger.ts';
import type { Random } from '../system/random.ts';
import type { Timers } from '../system/timers.ts';
import { ATTEMPT_ANNOTATION, MANAGED_BY, MANAGED_BY_LABEL } from './lease-fields.ts';

/** Life of a member Lease without a renewal. Written on it: a taker waits for what it reads there. */
export const MEMBER_LEASE_DURATION_MS = 6_000;
const RENEW_EVERY_MS = 2_000;
const RETRY_EVERY_MS = 250;
/** Drift in rate between two clocks over one lease, and the time between a check and the write after it. */
const MARGIN_MS = 50 + MEMBER_LEASE_DURATION_MS * 0.02;
/** A wall clock that ran this far ahead of the monotonic one: the machine slept, or somebody set it. Ask the store first. */
const STEP_MS = 1_000;

/** On every member Lease; its value is the name of the replica's pod. */
export const MEMBER_LABEL = 'lockkeeper.dev/member';
/** Renewals of unknown outcome that are remembered: more than fit into one life of a Lease. */
const UNKNOWN_ATTEMPTS_MAX = 64;

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
  /** As it was made: what somebody edits on the Lease is written again with the next renewal. */
  readonly #spec: Lease['spec'];
  #mark: Mark;
  #lost: string | undefined;
  #doubted = false;
  #renewing: Promise<void> | undefined;
  #timer: Disposable;
  /** The renewal that landed last, and those of unknown outcome since: any other one found means that the Lease was set back. */
  #attempts: readonly string[];
  #renewals = 0;
  /**
   * Called once, when the authority is found to be gone. `byHand`: the Lease was deleted or set back, so that other records may
   * have been as well.
   */
  onLost: (byHand: boolean) => void = () => {};

  private constructor(options: MemberOptions, incarnation: string, lease: StoredLease, mark: Mark) {
    this.#options = options;
    this.#meter = new ProgressMeter(options.clock);
    this.incarnation = incarnation;
    this.#lease = lease;
    this.#mark = mark;
    this.#spec = lease.spec;
    this.#attempts = [attemptOf(lease)];
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
      this.#lose('its Lease was not renewed in time', false);
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

  /** Everything this incarnation stood for may have been set back by hand: it ends, and the next one reads all anew. */
  distrust(reason: string): void {
    this.#lose(reason, true);
  }

  /**
   * Ends this incarnation at once: its shards may be taken without waiting for silence. Its Lease stays, without a holder: one
   * that is missing says nothing.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#lost ??= 'it left';
    this.#timer[Symbol.dispose]();
    await this.#renewing;
    const { metadata } = this.#lease;
    await this.#options.store
      .update({ metadata, spec: { ...this.#spec, holderIdentity: undefined } })
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
      const spec = { ...this.#spec, renewTime: formatMicroTime(clock.wallMs()) };
      const attempt = `${this.incarnation}.member.${++this.#renewals}`;
      const annotations = { ...this.#lease.metadata.annotations, [ATTEMPT_ANNOTATION]: attempt };
      this.#attempts = [...this.#attempts, attempt].slice(-UNKNOWN_ATTEMPTS_MAX);
      this.#lease = await store.update({ metadata: { ...this.#lease.metadata, annotations }, spec });
      this.#attempts = [attempt];
      this.#mark = mark;
      this.#doubted = false;
    } catch (error) {
      nextMs = RETRY_EVERY_MS;
      log.warn({ incarnation: this.incarnation, error }, 'could not renew the member lease');
      if (error instanceof StoreError && (error.outcome === 'conflict' || error.outcome === 'notFound'))
        nextMs = await this.#reread();
    }
    if (this.authority() !== 'lost') this.#timer = this.#schedule(nextMs);
  }

  /** Another version is there: an earlier renewal of unknown outcome, somebody's label, or the end. */
  async #reread(): Promise<number> {
    const { store, namespace } = this.#options;
    try {
      const found = await store.get(namespace, this.#lease.metadata.name);
      if (found === undefined) {
        this.#lose('its Lease was deleted', true);
      } else if (found.spec.holderIdentity !== this.incarnation) {
        this.#lose('another replica fenced it', false);
      } else if (!this.#attempts.includes(attemptOf(found))) {
        this.#lose('its Lease went back to an earlier state', true);
      } else if (found.metadata.resourceVersion !== this.#lease.metadata.resourceVersion) {
        this.#lease = found;
        return 0;
      }
    } catch {
      // Not known yet; the deadline decides.
    }
    return RETRY_EVERY_MS;
  }

  #lose(reason: string, byHand: boolean): void {
    if (this.#lost !== undefined) return;
    this.#lost = reason;
    this.#timer[Symbol.dispose]();
    this.#options.log.error({ incarnation: this.incarnation, reason }, 'lost the authority over all shards');
    this.onLost(byHand);
  }
}

/** Name of an incarnation's member Lease, in the operator's namespace. */
export function memberLeaseName(incarnation: string): string {
  return `lockkeeper-member-${incarnation}`;
}

function attemptOf({ metadata }: Lease): string {
  return metadata.annotations?.[ATTEMPT_ANNOTATION] ?? '';
}

function memberLease(options: MemberOptions, incarnation: string): Lease {
  const now = formatMicroTime(options.clock.wallMs());
  return {
    metadata: {
      namespace: options.namespace,
      name: memberLeaseName(incarnation),
      labels: { [MANAGED_BY_LABEL]: MANAGED_BY, [MEMBER_LABEL]: options.podName },
      annotations: { [ATTEMPT_ANNOTATION]: `${incarnation}.member.0` },
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
