import type { Clock } from '../system/clock.ts';
import { disposable, onAbort } from '../system/disposables.ts';
import type { Random } from '../system/random.ts';
import { type Lease, type StoredLease, formatTime, freezeLease, leaseProblem } from './lease.ts';
import {
  type CallOptions,
  type LabelMatcher,
  type LeaseEvent,
  type LeaseList,
  type LeaseQuery,
  type LeaseStore,
  StoreError,
  type WatchQuery,
  labelMatcher,
} from './lease-store.ts';

/** One change of one Lease, in the order of `lease.metadata.resourceVersion`. */
export interface LeaseChange {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  /** The new state; for `DELETED` the last one, with the version of the deletion. */
  readonly lease: StoredLease;
  /** The state before; `undefined` for `ADDED`. */
  readonly previous: StoredLease | undefined;
}

/** Where changes are made durable before anybody hears of them. */
export interface LeaseJournal {
  /**
   * Resolves once all changes, in this order, survive a crash of the process and of the machine. All or nothing. Called again
   * only after the last call was answered. A rejection means that nobody knows what is kept; it is never called again then.
   */
  append(changes: readonly LeaseChange[]): Promise<void>;
}

export interface MemoryLeaseStoreOptions {
  /** For `creationTimestamp`. */
  readonly clock: Clock;
  /** For `uid`. */
  readonly random: Random;
  /** State to begin with. `resourceVersion` is the highest version ever given out, also to Leases that are gone. Default: empty. */
  readonly initial?: { readonly leases: readonly StoredLease[]; readonly resourceVersion: string } | undefined;
  /** Without one, everything ends with the process. */
  readonly journal?: LeaseJournal | undefined;
  /** How many of the last changes a watch can resume over. Default 4,096. */
  readonly historyEventsMax?: number | undefined;
}

const HISTORY_EVENTS_DEFAULT = 4_096;
/** Writes that may wait for the journal; one more is refused as an overloaded server would. */
const WAITING_WRITES_MAX = 10_000;
const VERSION = /^(?:0|[1-9]\d{0,15})$/;

/**
 * Leases in memory, with the semantics of an API server: one version number that grows over all Leases, compare-and-swap,
 * validation, watches that resume from a version within a bounded history. What goes in and out is a deep-frozen copy.
 *
 * With a journal, a write is decided in the order of the calls, and neither its caller nor any read or watch sees it before
 * the journal has it. All writes that wait while the journal works go into its next append. After a failed append every write
 * in it is `unknown` and the store refuses all further writes: what the disk holds is then known only to a new process.
 * Reads go on with what was acknowledged.
 *
 * Writes are answered in the order of their calls.
 */
export class MemoryLeaseStore implements LeaseStore, Disposable {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #journal: LeaseJournal | undefined;
  readonly #historyEventsMax: number;
  readonly #leases = new Map<string, StoredLease>();
  readonly #watches = new Set<Watch>();
  /** The last changes, oldest first. */
  readonly #history: LeaseChange[] = [];
  /** A watch cannot resume from a version below this one. */
  #historyFloor: number;
  #version: number;
  #waiting: PendingWrite[] = [];
  #draining = false;
  /** Why no write is taken any more. */
  #refusal: string | undefined;

  constructor(options: MemoryLeaseStoreOptions) {
    this.#clock = options.clock;
    this.#random = options.random;
    this.#journal = options.journal;
    this.#historyEventsMax = options.historyEventsMax ?? HISTORY_EVENTS_DEFAULT;
    this.#version = numberOf(options.initial?.resourceVersion ?? '0');
    this.#historyFloor = this.#version;
    for (const lease of options.initial?.leases ?? []) {
      if (numberOf(lease.metadata.resourceVersion) > this.#version)
        throw new RangeError(`The Lease ${keyOf(lease)} is newer than the newest version of this store.`);
      this.#leases.set(keyOf(lease), freezeLease(lease, lease.metadata));
    }
  }

  async get(namespace: string, name: string, options: CallOptions = {}): Promise<StoredLease | undefined> {
    assertNotAborted(options.signal);
    return this.#leases.get(`${namespace}/${name}`);
  }

  async list(query: LeaseQuery, options: CallOptions = {}): Promise<LeaseList> {
    assertNotAborted(options.signal);
    const matches = matcherOf(query);
    const items = [...this.#leases.values()]
      .filter(matches)
      .sort((left, right) => (keyOf(left) < keyOf(right) ? -1 : 1));
    return { items, resourceVersion: String(this.#version) };
  }

  create(lease: Lease, options: CallOptions = {}): Promise<StoredLease> {
    const copy = copyOf(lease);
    return this.#submit(options.signal, itself, (draft) => {
      if (copy.metadata.resourceVersion !== '') throw rejected(400, 'A Lease to create must have no resourceVersion.');
      assertValid(copy);
      if (draft.find(keyOf(copy)) !== undefined) throw conflict(`The Lease ${keyOf(copy)} exists already.`);
      const [uid, creationTimestamp] = [this.#random.uuid(), formatTime(this.#clock.wallMs())];
      const created = freezeLease(copy, { resourceVersion: draft.nextVersion(), uid, creationTimestamp });
      return { type: 'ADDED', lease: created, previous: undefined };
    });
  }

  update(lease: Lease, options: CallOptions = {}): Promise<StoredLease> {
    const copy = copyOf(lease);
    return this.#submit(options.signal, itself, (draft) => {
      if (copy.metadata.resourceVersion === '')
        throw rejected(422, 'An update must name the resourceVersion it replaces.');
      assertValid(copy);
      const previous = draft.current(keyOf(copy), copy.metadata.resourceVersion);
      const { uid, creationTimestamp } = previous.metadata;
      if (copy.metadata.uid !== '' && copy.metadata.uid !== uid)
        throw conflict(`The Lease ${keyOf(copy)} has the uid ${uid}: it is another one.`);
      const unchanged = freezeLease(copy, previous.metadata);
      if (JSON.stringify(unchanged) === JSON.stringify(previous)) return { type: 'UNCHANGED', lease: previous };
      const updated = freezeLease(copy, { resourceVersion: draft.nextVersion(), uid, creationTimestamp });
      return { type: 'MODIFIED', lease: updated, previous };
    });
  }

  delete(namespace: string, name: string, resourceVersion: string, options: CallOptions = {}): Promise<void> {
    return this.#submit(options.signal, nothing, (draft) => {
      const previous = draft.current(`${namespace}/${name}`, resourceVersion);
      const ended = freezeLease(previous, { ...previous.metadata, resourceVersion: draft.nextVersion() });
      return { type: 'DELETED', lease: ended, previous };
    });
  }

  watch(query: WatchQuery, handler: (event: LeaseEvent) => void, options: CallOptions = {}): Disposable {
    if (!VERSION.test(query.resourceVersion))
      throw rejected(400, `A watch needs the resourceVersion of a list or an event, not "${query.resourceVersion}".`);
    const from = numberOf(query.resourceVersion);
    // A quiet watch gets bookmarks often enough that the version it resumes from stays well inside the history.
    const watch = new Watch(matcherOf(query), handler, Math.max(1, Math.floor(this.#historyEventsMax / 4)));
    const stop = disposable(() => {
      watch.close();
      this.#watches.delete(watch);
      listener?.[Symbol.dispose]();
    });
    const listener = options.signal && onAbort(options.signal, () => stop[Symbol.dispose]());
    if (from < this.#historyFloor || from > this.#version) {
      watch.push({
        type: 'ERROR',
        code: 'expired',
        message: `The version ${from} is outside the history ${this.#historyFloor} to ${this.#version}: list again.`,
      });
      return stop;
    }
    this.#watches.add(watch);
    for (const change of this.#history) if (versionOf(change.lease) > from) watch.offer(change);
    return stop;
  }

  /** Ends every watch and takes no more writes. Writes that were called before are still answered. */
  [Symbol.dispose](): void {
    this.#refusal ??= 'This store is closed.';
    for (const watch of this.#watches) watch.push({ type: 'ERROR', code: 'ended', message: 'This store is closed.' });
    this.#watches.clear();
  }

  #submit<Answer>(
    signal: AbortSignal | undefined,
    answerOf: (lease: StoredLease) => Answer,
    decide: Decide,
  ): Promise<Answer> {
    return new Promise<Answer>((resolve, reject) => {
      assertNotAborted(signal);
      if (this.#refusal !== undefined) throw new StoreError('rejected', this.#refusal);
      const write = new PendingWrite(decide, (lease) => resolve(answerOf(lease)), reject);
      if (this.#journal === undefined) this.#settle(this.#decide([write]));
      else this.#enqueue(write, signal, this.#journal);
    });
  }

  #enqueue(write: PendingWrite, signal: AbortSignal | undefined, journal: LeaseJournal): void {
    if (this.#waiting.length >= WAITING_WRITES_MAX)
      throw rejected(429, `${WAITING_WRITES_MAX} writes wait for the disk already; try again later.`);
    if (signal !== undefined) write.abort = onAbort(signal, (reason) => write.abandon(reason));
    this.#waiting.push(write);
    if (this.#draining) return;
    this.#draining = true;
    queueMicrotask(() => void this.#drain(journal));
  }

  /** Group commit: everything that waits goes into one append, and what comes meanwhile into the next. */
  async #drain(journal: LeaseJournal): Promise<void> {
    while (this.#waiting.length > 0) {
      const decided = this.#decide(this.#waiting.filter((write) => write.state === 'waiting'));
      this.#waiting = [];
      const changes = decided.flatMap(({ decision }) =>
        decision.type === 'ADDED' || decision.type === 'MODIFIED' || decision.type === 'DELETED' ? [decision] : [],
      );
      try {
        if (changes.length > 0) await journal.append(changes);
      } catch (error) {
        this.#fail(error, decided);
        break;
      }
      this.#settle(decided);
    }
    this.#draining = false;
  }

  /** Decides writes one after the other, each on top of the ones before it, without touching the visible state. */
  #decide(writes: readonly PendingWrite[]): readonly DecidedWrite[] {
    const draft = new Draft(this.#leases, this.#version);
    return writes.map((write) => {
      write.state = 'sent';
      return { write, decision: draft.decide(write.decide) };
    });
  }

  /** Makes decisions visible, in order: first to later reads, then to watches, then to the callers. */
  #settle(decided: readonly DecidedWrite[]): void {
    for (const { write, decision } of decided) {
      if (decision.type === 'REFUSED') {
        write.refuse(decision.error);
        continue;
      }
      if (decision.type !== 'UNCHANGED') this.#apply(decision);
      write.answer(decision.lease);
    }
  }

  #apply(change: LeaseChange): void {
    this.#version = versionOf(change.lease);
    if (change.type === 'DELETED') this.#leases.delete(keyOf(change.lease));
    else this.#leases.set(keyOf(change.lease), change.lease);
    this.#history.push(change);
    while (this.#history.length > this.#historyEventsMax)
      this.#historyFloor = versionOf((this.#history.shift() as LeaseChange).lease);
    for (const watch of this.#watches) watch.offer(change);
  }

  #fail(cause: unknown, decided: readonly DecidedWrite[]): void {
    const reason = cause instanceof Error ? cause.message : String(cause);
    this.#refusal = `The journal of this store failed, so what the disk holds is unknown and no more writes are taken: ${reason} Start the process again.`;
    const unknown = new StoreError('unknown', `The journal failed at this write: it may be on disk or not. ${reason}`, {
      cause,
    });
    for (const { write, decision } of decided) {
      if (decision.type === 'REFUSED') write.refuse(decision.error);
      // Unchanged on top of what was acknowledged, or only on top of a write that failed with it?
      else if (decision.lease === this.#leases.get(keyOf(decision.lease))) write.answer(decision.lease);
      else write.refuse(unknown);
    }
    for (const write of this.#waiting) write.refuse(new StoreError('rejected', this.#refusal, { cause }));
    this.#waiting = [];
  }
}

type Decision =
  | LeaseChange
  | { readonly type: 'UNCHANGED'; readonly lease: StoredLease }
  | { readonly type: 'REFUSED'; readonly error: unknown };
type Decide = (draft: Draft) => Decision;
interface DecidedWrite {
  readonly write: PendingWrite;
  readonly decision: Decision;
}

/** The visible state with the decisions of one batch on top. */
class Draft {
  readonly #leases: ReadonlyMap<string, StoredLease>;
  readonly #changed = new Map<string, StoredLease | undefined>();
  #version: number;

  constructor(leases: ReadonlyMap<string, StoredLease>, version: number) {
    this.#leases = leases;
    this.#version = version;
  }

  decide(decide: Decide): Decision {
    try {
      const decision = decide(this);
      if (decision.type === 'ADDED' || decision.type === 'MODIFIED')
        this.#changed.set(keyOf(decision.lease), decision.lease);
      if (decision.type === 'DELETED') this.#changed.set(keyOf(decision.lease), undefined);
      return decision;
    } catch (error) {
      return { type: 'REFUSED', error };
    }
  }

  find(key: string): StoredLease | undefined {
    return this.#changed.has(key) ? this.#changed.get(key) : this.#leases.get(key);
  }

  /** The Lease, if its version is exactly this one. */
  current(key: string, resourceVersion: string): StoredLease {
    const lease = this.find(key);
    if (lease === undefined) throw new StoreError('notFound', `There is no Lease ${key}.`, { httpStatus: 404 });
    const { resourceVersion: current } = lease.metadata;
    if (current !== resourceVersion)
      throw conflict(`The Lease ${key} has the version ${current}, not ${resourceVersion}: read it again.`);
    return lease;
  }

  nextVersion(): string {
    this.#version += 1;
    return String(this.#version);
  }
}

/** A write that has been called and not answered. */
class PendingWrite {
  /** `sent`: it may be on disk. */
  state: 'waiting' | 'sent' | 'abandoned' = 'waiting';
  abort: Disposable | undefined;
  readonly decide: Decide;
  readonly #resolve: (lease: StoredLease) => void;
  readonly #reject: (error: unknown) => void;

  constructor(decide: Decide, resolve: (lease: StoredLease) => void, reject: (error: unknown) => void) {
    this.decide = decide;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  answer(lease: StoredLease): void {
    this.abort?.[Symbol.dispose]();
    this.#resolve(lease);
  }

  refuse(error: unknown): void {
    this.abort?.[Symbol.dispose]();
    this.#reject(error);
  }

  abandon(cause: unknown): void {
    const sent = this.state === 'sent';
    this.state = 'abandoned';
    this.#reject(
      sent
        ? new StoreError('unknown', 'The call was abandoned on its way: the write may land.', { cause })
        : notSent(cause),
    );
  }
}

/** One watch: turns changes into events and hands them over in microtasks, in order. */
class Watch {
  readonly #matches: (lease: Lease) => boolean;
  readonly #handler: (event: LeaseEvent) => void;
  readonly #bookmarkEvery: number;
  #events: LeaseEvent[] = [];
  #quietChanges = 0;
  #closed = false;

  constructor(matches: (lease: Lease) => boolean, handler: (event: LeaseEvent) => void, bookmarkEvery: number) {
    this.#matches = matches;
    this.#handler = handler;
    this.#bookmarkEvery = bookmarkEvery;
  }

  offer({ type, lease, previous }: LeaseChange): void {
    const before = previous !== undefined && this.#matches(previous);
    const after = type !== 'DELETED' && this.#matches(lease);
    const { resourceVersion } = lease.metadata;
    if (after) this.push({ type: before ? 'MODIFIED' : 'ADDED', lease });
    else if (before)
      this.push({ type: 'DELETED', lease: freezeLease(previous, { ...previous.metadata, resourceVersion }) });
    else if (this.#quietChanges + 1 >= this.#bookmarkEvery) this.push({ type: 'BOOKMARK', resourceVersion });
    else this.#quietChanges += 1;
  }

  push(event: LeaseEvent): void {
    this.#quietChanges = 0;
    this.#events.push(event);
    if (this.#events.length === 1) queueMicrotask(() => this.#deliver());
  }

  close(): void {
    this.#closed = true;
  }

  #deliver(): void {
    const events = this.#events;
    this.#events = [];
    for (const event of events) {
      if (this.#closed) return;
      if (event.type === 'ERROR') this.close();
      this.#handler(event);
    }
  }
}

function keyOf(lease: Lease): string {
  return `${lease.metadata.namespace}/${lease.metadata.name}`;
}

function versionOf(lease: StoredLease): number {
  return numberOf(lease.metadata.resourceVersion);
}

function numberOf(resourceVersion: string): number {
  if (!VERSION.test(resourceVersion)) throw new RangeError(`"${resourceVersion}" is no version of this store.`);
  return Number(resourceVersion);
}

function matcherOf({ namespace, labelSelector }: LeaseQuery): (lease: Lease) => boolean {
  const matches: LabelMatcher = labelMatcher(labelSelector);
  return ({ metadata }) => (namespace === undefined || metadata.namespace === namespace) && matches(metadata.labels);
}

/** What the caller passed, out of reach of its later changes. */
function copyOf(lease: Lease): StoredLease {
  const { resourceVersion = '', uid = '', creationTimestamp = '' } = lease.metadata;
  return freezeLease(lease, { resourceVersion, uid, creationTimestamp });
}

function itself(lease: StoredLease): StoredLease {
  return lease;
}

function nothing(): void {}

function assertValid(lease: Lease): void {
  const problem = leaseProblem(lease);
  if (problem !== undefined) throw rejected(422, `The Lease is invalid: ${problem}.`);
}

function rejected(httpStatus: number, message: string): StoreError {
  return new StoreError('rejected', message, { httpStatus, retryable: httpStatus === 429 });
}

function conflict(message: string): StoreError {
  return new StoreError('conflict', message, { httpStatus: 409 });
}

function assertNotAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw notSent(signal.reason);
}

function notSent(cause: unknown): StoreError {
  return new StoreError('rejected', 'The call was abandoned before it was sent.', { retryable: true, cause });
}
