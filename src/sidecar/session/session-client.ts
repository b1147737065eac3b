import type { HoldReply, LostPush, Operation, Reply } from '../../api/operations.ts';
import { SHARD_COUNT, shardOf } from '../../api/shard-hash.ts';
import type { SessionListener, SessionTransport } from '../../api/transport.ts';
import { type Clock, ProgressMeter } from '../../system/clock.ts';
import type { Timers } from '../../system/timers.ts';
import { type Deadline, deadlineOf } from './deadline.ts';
import { failure, shuttingDown } from './failures.ts';
import { FrameMarks } from './frame-marks.ts';
import type { PendingRequest } from './pending-request.ts';
import { PendingTable } from './pending-table.ts';

/** Operations in one frame at most; more leave as several frames, in order. */
const OPERATIONS_PER_FRAME_MAX = 1_024;
/** Void answers after which a request is given up: somebody keeps talking for an owner that is none. */
const VOID_ANSWERS_MAX = 16;
/** Earlier numbers of one request that are remembered. */
const OLDER_REFS_MAX = 8;

/** Who hears what answers no request. */
export interface SessionObserver {
  /** A hold for a request that is not under way any more. */
  onStray(reply: HoldReply): void;
  onLost(push: LostPush): void;
  /** Owners changed. What is asked within this call leaves before the requests that are asked again. */
  onOwnersChanged(shards: ReadonlySet<number>): void;
}

export interface SessionClientOptions {
  readonly openTransport: (listener: SessionListener) => SessionTransport;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly observer: SessionObserver;
  /** Shards of the installation. Default 32. */
  readonly shardCount?: number | undefined;
}

/**
 * The conversation of a session: numbers its requests, sends everything that one tick queued as one frame, hands each reply
 * to its request, and asks again whatever an owner that is none any more has left unanswered.
 */
export class SessionClient implements SessionListener {
  readonly #timers: Timers;
  readonly #meter: ProgressMeter;
  readonly #observer: SessionObserver;
  readonly #transport: SessionTransport;
  readonly #shardCount: number;
  readonly #marks = new FrameMarks();
  /** By every number under which a request was asked. */
  readonly #pending = new PendingTable();
  /** Newest epoch known of each shard. */
  readonly #epochs = new Map<number, number>();
  #changedShards = new Set<number>();
  #queue: Operation[] = [];
  #flush: Disposable | undefined = undefined;
  #lastRef = 0;
  /** Every number up to this one has left in a frame. */
  #sentThroughRef = 0;
  #lastFrame = 0;
  #closed = false;

  constructor({ openTransport, clock, timers, observer, shardCount = SHARD_COUNT }: SessionClientOptions) {
    this.#shardCount = shardCount;
    this.#timers = timers;
    this.#meter = new ProgressMeter(clock);
    this.#observer = observer;
    this.#transport = openTransport(this);
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Requests under way. */
  get pendingCount(): number {
    return this.#pending.size;
  }

  shardOf(key: string): number {
    return shardOf(key, this.#shardCount);
  }

  epochOf(shard: number): number | undefined {
    return this.#epochs.get(shard);
  }

  /** Until when the hold of this reply may be relied on. */
  deadlineOf(reply: HoldReply): Deadline {
    return deadlineOf(this.#marks.of(reply.seen), reply.remainingMs);
  }

  /** Sends a request with the next frame. On a closed session it fails at once. */
  ask(request: PendingRequest): void {
    if (this.#closed) {
      request.fail(shuttingDown());
      return;
    }
    request.ref = ++this.#lastRef;
    this.#pending.set(request.ref, request);
    this.#enqueue(request.operation(request.ref));
  }

  /** Asks a request again under a new number; a hold that still comes for the old one is its answer too. */
  askAgain(request: PendingRequest): void {
    if (request.olderRefs === undefined) request.olderRefs = [request.ref];
    else request.olderRefs.push(request.ref);
    this.#pending.set(request.ref, request);
    const forgotten = request.olderRefs.length > OLDER_REFS_MAX ? request.olderRefs.shift() : undefined;
    if (forgotten !== undefined) this.#pending.delete(forgotten);
    this.ask(request);
  }

  /** The answer was void: asks again, or gives up if that happens all the time. */
  rejectAnswer(request: PendingRequest): void {
    if (++request.voidAnswers <= VOID_ANSWERS_MAX) {
      this.askAgain(request);
      return;
    }
    this.forget(request);
    request.fail(failure('UNAVAILABLE', { reason: 'noAuthority', retryAfterMs: 1_000 }));
  }

  /** Nobody wants the answer any more. A hold that comes for it is a stray one. */
  forget(request: PendingRequest): void {
    this.#pending.delete(request.ref);
    for (const ref of request.olderRefs ?? []) this.#pending.delete(ref);
    request.olderRefs = undefined;
  }

  /** Forgets a queued acquire and takes it out of the queue. */
  withdraw(request: PendingRequest): void {
    const targets = [...(request.olderRefs ?? []), request.ref];
    this.forget(request);
    if (this.#closed) return;
    for (const target of targets) this.#enqueue({ op: 'cancel', ref: ++this.#lastRef, key: request.key, target });
  }

  /** Sends an empty frame, after what is queued. */
  beat(): void {
    if (this.#closed) return;
    this.#sendQueued();
    this.#sendFrame([]);
  }

  list(query: Parameters<SessionTransport['list']>[0]): ReturnType<SessionTransport['list']> {
    return this.#transport.list(query);
  }

  reclaimComplete(shard: number, epoch: number): void {
    if (!this.#closed) this.#transport.reclaimComplete(shard, epoch);
  }

  /** Sends what is queued, then ends the session. Whatever is under way fails with UNAVAILABLE. */
  close(reason: 'goodbye' | 'lost'): void {
    if (this.#closed) return;
    this.#sendQueued();
    this.#closed = true;
    const left = this.#pending.list();
    this.#pending.clear();
    const failed = shuttingDown();
    for (const request of left) request.fail(failed);
    this.#transport.close(reason);
  }

  onReply(reply: Reply): void {
    if (this.#closed) return;
    const request = this.#pending.get(reply.ref);
    if (reply.kind === 'hold') {
      this.#onHold(reply, request);
      return;
    }
    // An error or an acknowledgement for an earlier number may come from an owner that is none any more.
    if (request === undefined || request.ref !== reply.ref) return;
    // A new owner that was not told of a hold yet refuses what names it: about to be asked again, after the declaration.
    if (reply.kind === 'error' && this.#isLost(request, this.#changedShards)) return;
    if (reply.kind !== 'queued') this.forget(request);
    request.onReply(reply);
  }

  onLost(push: LostPush): void {
    if (!this.#closed && this.#isCurrent(this.shardOf(push.key), push.epoch)) this.#observer.onLost(push);
  }

  onEpoch(shard: number, epoch: number): void {
    if (this.#closed || epoch < (this.#epochs.get(shard) ?? epoch)) return;
    this.#epochs.set(shard, epoch);
    this.#noteChange(shard);
  }

  #onHold(reply: HoldReply, request: PendingRequest | undefined): void {
    if (!this.#isCurrent(this.shardOf(reply.key), reply.epoch)) {
      if (request !== undefined && request.ref === reply.ref) this.rejectAnswer(request);
    } else if (request === undefined) {
      this.#observer.onStray(reply);
    } else {
      this.forget(request);
      request.onReply(reply);
    }
  }

  /** Whether no newer owner of the shard is known. A newer one is noted. */
  #isCurrent(shard: number, epoch: number): boolean {
    const known = this.#epochs.get(shard);
    if (known === epoch) return true;
    if (known !== undefined && epoch < known) return false;
    this.#epochs.set(shard, epoch);
    if (known !== undefined) this.#noteChange(shard);
    return true;
  }

  #noteChange(shard: number): void {
    this.#changedShards.add(shard);
    this.#scheduleFlush();
  }

  #enqueue(operation: Operation): void {
    this.#queue.push(operation);
    this.#scheduleFlush();
  }

  #scheduleFlush(): void {
    this.#flush ??= this.#timers.soon(() => this.#sendQueued());
  }

  #sendQueued(): void {
    this.#flush?.[Symbol.dispose]();
    this.#flush = undefined;
    if (this.#changedShards.size > 0) this.#askNewOwners();
    const queue = this.#queue;
    if (queue.length === 0) return;
    this.#queue = [];
    this.#sentThroughRef = this.#lastRef;
    if (queue.length <= OPERATIONS_PER_FRAME_MAX) this.#sendFrame(queue);
    else
      for (let start = 0; start < queue.length; start += OPERATIONS_PER_FRAME_MAX)
        this.#sendFrame(queue.slice(start, start + OPERATIONS_PER_FRAME_MAX));
  }

  #sendFrame(operations: readonly Operation[]): void {
    const mark = this.#meter.mark();
    const expected = this.#lastFrame + 1;
    // Before the send: replies may come within it.
    this.#marks.record(expected, mark);
    const frame = this.#transport.send(operations);
    if (frame > expected) this.#marks.record(frame, mark);
    this.#lastFrame = Math.max(this.#lastFrame, frame);
  }

  /** Holds are declared first, then what was sent to the earlier owners is asked again, then comes what is new. */
  #askNewOwners(): void {
    const shards = this.#changedShards;
    this.#changedShards = new Set();
    const unsent = this.#queue;
    this.#queue = [];
    const lost = this.#pending
      .list()
      .filter((request) => this.#isLost(request, shards))
      .toSorted((one, other) => one.ref - other.ref);
    for (const request of lost) if (request.isReclaim) this.#askNewOwner(request);
    this.#observer.onOwnersChanged(shards);
    for (const request of lost) if (!request.isReclaim) this.#askNewOwner(request);
    for (const operation of unsent) this.#queue.push(operation);
  }

  /** Whether it was sent to an owner of these shards that is none any more. */
  #isLost({ ref, key }: PendingRequest, shards: ReadonlySet<number>): boolean {
    return ref <= this.#sentThroughRef && shards.has(this.shardOf(key));
  }

  #askNewOwner(request: PendingRequest): void {
    if (this.#pending.get(request.ref) !== request) return;
    if (request.onOwnerChange()) this.askAgain(request);
    else this.forget(request);
  }
}
