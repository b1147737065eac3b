import { EVENT_REASONS, type EventReason } from '../api/custom-resources/event-reasons.ts';
import { EVENTS, type ResourceType } from '../kube/kube-object.ts';
import { formatTime } from '../kube/lease.ts';
import { StoreError } from '../kube/lease-store.ts';
import type { ObjectStore } from '../kube/object-store.ts';
import type { Clock } from '../system/clock.ts';
import type { Log } from '../system/logger.ts';
import type { Random } from '../system/random.ts';
import type { Timers } from '../system/timers.ts';
import { TokenBucket } from '../kube/token-bucket.ts';

/** Which object an Event is about. It may be gone. */
export interface EventSubject {
  readonly type: ResourceType;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

export interface EventToTell {
  readonly reason: EventReason;
  /** A sentence for people, at most 1,024 characters. */
  readonly message: string;
}

export interface EventRecorderOptions {
  readonly store: Pick<ObjectStore, 'create' | 'patch'>;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly log: Log;
  /** Name of this replica. */
  readonly instance: string;
}

const MESSAGE_LENGTH_MAX = 1_024;
/** Reasons whose Events come in numbers: all of one object are one Event with the newest message and a count. */
const FREQUENT: Partial<Record<EventReason, number>> = {
  Expired: 60_000,
  MaxHoldReached: 60_000,
  QueueFull: 60_000,
  ReclaimRefused: 60_000,
  StoreRefused: 60_000,
  LeaseUnusable: 60_000,
  LeaseRestored: 60_000,
};
/** Shortest time between two writes of one Event. */
const REPEAT_GAP_MS = 10_000;
/** An Event of which nothing was heard for this long is over: the next one is new. */
const FORGET_AFTER_MS = 600_000;
/** More different messages of one reason than this within that time become one Event. */
const DISTINCT_MAX = 10;
const SERIES_MAX = 4_096;
/** New Events of one object: 25 at once, then one in 5 minutes, as client-go does it. */
const PER_OBJECT = { burst: 25, perSecond: 1 / 300 };
/** Writes of Events over all objects. */
const IN_ALL = { burst: 25, perSecond: 10 };

interface Series {
  readonly key: string;
  readonly subject: EventSubject;
  readonly reason: EventReason;
  readonly gapMs: number;
  readonly firstWallMs: number;
  name: string | undefined;
  message: string;
  count: number;
  writtenCount: number;
  lastWallMs: number;
  heardAtMs: number;
  writtenAtMs: number;
}

/**
 * Writes Events of the core group, which `kubectl describe` shows. The same Event again only raises the count of the one that
 * is there; what comes faster than that is folded. Beyond the budget Events are dropped and counted: they are news for people,
 * never a record.
 */
export class EventRecorder implements AsyncDisposable {
  readonly #options: EventRecorderOptions;
  readonly #series = new Map<string, Series>();
  /** Messages of one object and reason, to see when they become too many. */
  readonly #distinct = new Map<string, { readonly messages: Set<string>; readonly sinceMs: number }>();
  readonly #perObject = new Map<string, TokenBucket>();
  readonly #inAll: TokenBucket;
  /** Series with something to write, oldest wish first. */
  readonly #dirty = new Set<Series>();
  #writing: Promise<void> | undefined;
  #timer: Disposable | undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;
  #disposed = false;
  #written = 0;
  #dropped = 0;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
    this.#inAll = new TokenBucket(IN_ALL.burst, IN_ALL.perSecond, options.clock.monotonicMs());
  }

  /** Writes of Events that succeeded. */
  get written(): number {
    return this.#written;
  }

  /** Events that the budget or the store refused. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Never throws, never waits. */
  tell(subject: EventSubject, { reason, message }: EventToTell): void {
    if (this.#disposed) return;
    const nowMs = this.#options.clock.monotonicMs();
    const series = this.#seriesOf(subject, reason, message, nowMs);
    if (series === undefined) {
      this.#dropped++;
      return;
    }
    series.message = message.slice(0, MESSAGE_LENGTH_MAX);
    series.count++;
    series.lastWallMs = this.#options.clock.wallMs();
    series.heardAtMs = nowMs;
    this.#dirty.add(series);
    this.#schedule();
  }

  /** Writes what has not been written at all, and ends. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    this.#timer?.[Symbol.dispose]();
    await this.#writing;
    for (const series of this.#dirty) if (series.writtenCount === 0) await this.#write(series);
  }

  #seriesOf(subject: EventSubject, reason: EventReason, message: string, nowMs: number): Series | undefined {
    const kind = `${subject.uid} ${reason}`;
    const gapMs = FREQUENT[reason];
    const key = gapMs !== undefined || this.#areMany(kind, message, nowMs) ? kind : `${kind} ${message}`;
    const known = this.#series.get(key);
    if (known !== undefined && nowMs - known.heardAtMs < FORGET_AFTER_MS) {
      touch(this.#series, key, known);
      return known;
    }
    if (!this.#bucketOf(subject.uid, nowMs).take(nowMs)) return undefined;
    const wallMs = this.#options.clock.wallMs();
    const series: Series = {
      key,
      subject,
      reason,
      gapMs: gapMs ?? REPEAT_GAP_MS,
      firstWallMs: wallMs,
      name: undefined,
      message,
      count: 0,
      writtenCount: 0,
      lastWallMs: wallMs,
      heardAtMs: nowMs,
      writtenAtMs: Number.NEGATIVE_INFINITY,
    };
    touch(this.#series, key, series);
    return series;
  }

  #areMany(kind: string, message: string, nowMs: number): boolean {
    let seen = this.#distinct.get(kind);
    if (seen === undefined || nowMs - seen.sinceMs > FORGET_AFTER_MS) seen = { messages: new Set(), sinceMs: nowMs };
    touch(this.#distinct, kind, seen);
    if (seen.messages.size <= DISTINCT_MAX) seen.messages.add(message);
    return seen.messages.size > DISTINCT_MAX;
  }

  #bucketOf(uid: string, nowMs: number): TokenBucket {
    const bucket = this.#perObject.get(uid) ?? new TokenBucket(PER_OBJECT.burst, PER_OBJECT.perSecond, nowMs);
    touch(this.#perObject, uid, bucket);
    return bucket;
  }

  #schedule(): void {
    if (this.#writing !== undefined) return;
    const { clock, timers } = this.#options;
    const nowMs = clock.monotonicMs();
    let dueMs = Number.POSITIVE_INFINITY;
    for (const series of this.#dirty) {
      dueMs = Math.min(dueMs, Math.max(nowMs, series.writtenAtMs + series.gapMs));
      if (dueMs === nowMs) break;
    }
    if (dueMs === Number.POSITIVE_INFINITY) return;
    const run = () => {
      this.#timerAtMs = Number.POSITIVE_INFINITY;
      this.#writing = this.#writeDue().finally(() => {
        this.#writing = undefined;
        if (!this.#disposed) this.#schedule();
      });
    };
    const startMs = Math.max(dueMs, this.#inAll.nextMs(nowMs));
    if (startMs >= this.#timerAtMs) return;
    this.#timer?.[Symbol.dispose]();
    this.#timerAtMs = startMs;
    this.#timer = startMs <= nowMs ? timers.soon(run) : timers.after(startMs - nowMs, run);
  }

  async #writeDue(): Promise<void> {
    for (const series of [...this.#dirty]) {
      const nowMs = this.#options.clock.monotonicMs();
      if (this.#disposed) return;
      if (series.writtenAtMs + series.gapMs > nowMs) continue;
      if (!this.#inAll.take(nowMs)) return;
      series.writtenAtMs = nowMs;
      await this.#write(series);
    }
  }

  async #write(series: Series): Promise<void> {
    const { store, clock, log } = this.#options;
    const { subject, count } = series;
    this.#dirty.delete(series);
    series.writtenAtMs = clock.monotonicMs();
    try {
      if (series.name !== undefined) {
        const patch = { count, message: series.message, lastTimestamp: formatTime(series.lastWallMs) };
        try {
          await store.patch(EVENTS, subject.namespace, series.name, patch);
        } catch (error) {
          // API servers forget Events after an hour.
          if (!(error instanceof StoreError) || error.outcome !== 'notFound') throw error;
          series.name = undefined;
        }
      }
      series.name ??= (await store.create(EVENTS, this.#objectOf(series))).metadata.name;
      series.writtenCount = count;
      this.#written++;
    } catch (error) {
      this.#dropped++;
      log.warn({ reason: series.reason, subject: `${subject.namespace}/${subject.name}`, error }, 'an event is lost');
    }
  }

  #objectOf({ subject, reason, message, count, firstWallMs, lastWallMs }: Series) {
    const { type, namespace, name, uid } = subject;
    const apiVersion = type.group === '' ? type.version : `${type.group}/${type.version}`;
    const suffix = this.#options.random.uuid().replaceAll('-', '').slice(0, 16);
    return {
      apiVersion: 'v1',
      kind: EVENTS.kind,
      metadata: { name: `${name}.${suffix}`, namespace },
      involvedObject: { apiVersion, kind: type.kind, namespace, name, uid },
      reason,
      message,
      type: EVENT_REASONS[reason],
      count,
      firstTimestamp: formatTime(firstWallMs),
      lastTimestamp: formatTime(lastWallMs),
      source: { component: 'lockkeeper' },
      reportingComponent: 'lockkeeper.dev/controller',
      reportingInstance: this.#options.instance,
    };
  }
}

/** Sets and moves to the end; the entry that was longest untouched gives way. */
function touch<Value>(map: Map<string, Value>, key: string, value: Value): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= SERIES_MAX) return;
  for (const oldest of map.keys()) {
    map.delete(oldest);
    return;
  }
}
