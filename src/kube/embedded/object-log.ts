import { disposable, onAbort } from '../../system/disposables.ts';
import type { ResourceType, StoredObject } from '../kube-object.ts';
import { StoreError } from '../lease-store.ts';
import type { ObjectEvent } from '../object-store.ts';
import { Draft } from './draft.ts';
import { isVersion, keyOf, numberOf } from './object-key.ts';
import { ObjectWatch } from './object-watch.ts';
import { PendingWrite, notSent } from './pending-write.ts';

/** One change of one object, in the order of `object.metadata.resourceVersion`. */
export interface ObjectChange {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly resource: ResourceType;
  /** The new state; for `DELETED` the last one, with the version of the deletion. */
  readonly object: StoredObject;
  /** The state before; `undefined` for `ADDED`. */
  readonly previous: StoredObject | undefined;
}

/** Where changes are made durable before anybody hears of them. */
export interface ObjectJournal {
  /**
   * Resolves once all changes, in this order, survive a crash of the process and of the machine. All or nothing. Called again
   * only after the last call was answered. A rejection means that nobody knows what is kept; it is never called again then.
   */
  append(changes: readonly ObjectChange[]): Promise<void>;
}

export interface ObjectLogOptions {
  /** State to begin with, deep-frozen. `resourceVersion` is the highest version ever given out, also to objects that are gone. */
  readonly initial?:
    | { readonly objects: readonly (readonly [ResourceType, StoredObject])[]; readonly resourceVersion: string }
    | undefined;
  /** Without one, everything ends with the process. */
  readonly journal?: ObjectJournal | undefined;
  /** How many of the last changes of one kind a watch can resume over. Default 4,096. */
  readonly historyEventsMax?: number | undefined;
}

/**
 * Looks at the state so far, records changes, and gives the answer of the write. Runs when its turn comes; throws to refuse,
 * and what it recorded is then forgotten.
 */
export type Decide = (draft: Draft) => StoredObject;

/** Objects of one kind, what happened to them lately, and who watches. */
interface Collection {
  readonly objects: Map<string, StoredObject>;
  /** The last changes, oldest first. */
  readonly history: ObjectChange[];
  /** A watch cannot resume from a version below this one. */
  historyFloor: number;
  readonly watches: Set<ObjectWatch>;
}

interface DecidedWrite {
  readonly write: PendingWrite;
  readonly changes: readonly ObjectChange[];
  readonly outcome: { readonly answer: StoredObject } | { readonly refusal: unknown };
}

const HISTORY_EVENTS_DEFAULT = 4_096;
/** Writes that may wait for the journal; one more is refused as an overloaded server would. */
const WAITING_WRITES_MAX = 10_000;

/**
 * Deep-frozen objects of all kinds in memory, under one version number that grows over all of them; what is valid is for its
 * users to decide.
 *
 * With a journal, a write is decided in the order of the calls, and neither its caller nor any read or watch sees it before
 * the journal has it. All writes that wait while the journal works go into its next append. After a failed append every write
 * in it is `unknown` and all further writes are refused: what the disk holds is then known only to a new process. Reads go on
 * with what was acknowledged. Writes are answered in the order of their calls.
 */
export class ObjectLog implements Disposable {
  readonly #journal: ObjectJournal | undefined;
  readonly #historyEventsMax: number;
  readonly #collections = new Map<string, Collection>();
  readonly #initialVersion: number;
  #version: number;
  #waiting: PendingWrite[] = [];
  #draining = false;
  /** Why no write is taken any more. */
  #refusal: string | undefined;

  constructor(options: ObjectLogOptions) {
    this.#journal = options.journal;
    this.#historyEventsMax = options.historyEventsMax ?? HISTORY_EVENTS_DEFAULT;
    this.#version = numberOf(options.initial?.resourceVersion ?? '0');
    this.#initialVersion = this.#version;
    for (const [resource, object] of options.initial?.objects ?? []) {
      if (versionOf(object) > this.#version)
        throw new RangeError(`The ${resource.kind} ${keyOf(object)} is newer than the newest version of this store.`);
      this.#collection(resource).objects.set(keyOf(object), object);
    }
  }

  /** The newest version that everybody may see. */
  get resourceVersion(): string {
    return String(this.#version);
  }

  get(resource: ResourceType, key: string): StoredObject | undefined {
    return this.#collection(resource).objects.get(key);
  }

  /** All objects of a kind by their keys, in no order; a live view. */
  all(resource: ResourceType): ReadonlyMap<string, StoredObject> {
    return this.#collection(resource).objects;
  }

  /** The objects of a kind as they were at a version; `undefined` if the history does not reach back (or not yet there). */
  at(resource: ResourceType, version: number): ReadonlyMap<string, StoredObject> | undefined {
    const { objects, history, historyFloor } = this.#collection(resource);
    if (version < historyFloor || version > this.#version) return undefined;
    const then = new Map(objects);
    for (const { object, previous } of history.toReversed()) {
      if (versionOf(object) <= version) break;
      if (previous === undefined) then.delete(keyOf(object));
      else then.set(keyOf(object), previous);
    }
    return then;
  }

  /** Decides and makes one write. The answer has the state after it. */
  write<Answer>(
    signal: AbortSignal | undefined,
    decide: Decide,
    answerOf: (object: StoredObject) => Answer,
  ): Promise<Answer> {
    return new Promise<Answer>((resolve, reject) => {
      assertNotAborted(signal);
      if (this.#refusal !== undefined) throw new StoreError('rejected', this.#refusal, { httpStatus: 500 });
      const write = new PendingWrite(decide, (object) => resolve(answerOf(object)), reject);
      if (this.#journal === undefined) this.#settle(this.#decide([write]));
      else this.#enqueue(write, signal, this.#journal);
    });
  }

  /**
   * Reports the changes of one kind after a version: `matches` says which objects are in sight, `present` how the watch shows
   * one that went out of sight with the version of its end.
   */
  watch(
    resource: ResourceType,
    resourceVersion: string,
    matches: (object: StoredObject) => boolean,
    handler: (event: ObjectEvent) => void,
    signal: AbortSignal | undefined,
  ): Disposable {
    if (!isVersion(resourceVersion))
      throw new StoreError(
        'rejected',
        `A watch needs the resourceVersion of a list or an event, not "${resourceVersion}".`,
        {
          httpStatus: 400,
        },
      );
    const from = numberOf(resourceVersion);
    const { history, historyFloor, watches } = this.#collection(resource);
    // A quiet watch gets bookmarks often enough that the version it resumes from stays well inside the history.
    const watch = new ObjectWatch(matches, handler, Math.max(1, Math.floor(this.#historyEventsMax / 4)));
    const stop = disposable(() => {
      watch.close();
      watches.delete(watch);
      listener?.[Symbol.dispose]();
    });
    const listener = signal && onAbort(signal, () => stop[Symbol.dispose]());
    if (from < historyFloor || from > this.#version) {
      const message = `too old resource version: ${from} (${historyFloor})`;
      watch.push({ type: 'ERROR', code: 'expired', message });
      return stop;
    }
    watches.add(watch);
    for (const change of history) if (versionOf(change.object) > from) watch.offer(change);
    return stop;
  }

  /** Ends every watch and takes no more writes. Writes that were called before are still answered. */
  [Symbol.dispose](): void {
    this.#refusal ??= 'This store is closed.';
    for (const { watches } of this.#collections.values()) {
      for (const watch of watches) watch.push({ type: 'ERROR', code: 'ended', message: 'This store is closed.' });
      watches.clear();
    }
  }

  #enqueue(write: PendingWrite, signal: AbortSignal | undefined, journal: ObjectJournal): void {
    if (this.#waiting.length >= WAITING_WRITES_MAX) {
      const message = `${WAITING_WRITES_MAX} writes wait for the disk already; try again later.`;
      throw new StoreError('rejected', message, { httpStatus: 429, retryable: true });
    }
    if (signal !== undefined) write.abort = onAbort(signal, (reason) => write.abandon(reason));
    this.#waiting.push(write);
    if (this.#draining) return;
    this.#draining = true;
    queueMicrotask(() => void this.#drain(journal));
  }

  /** Group commit: everything that waits goes into one append, and what comes meanwhile into the next. */
  async #drain(journal: ObjectJournal): Promise<void> {
    while (this.#waiting.length > 0) {
      const decided = this.#decide(this.#waiting.filter((write) => write.state === 'waiting'));
      this.#waiting = [];
      const changes = decided.flatMap((each) => each.changes);
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
    const draft = new Draft((resource) => this.#collection(resource).objects, this.#version);
    return writes.map((write) => {
      write.state = 'sent';
      try {
        const answer = write.decide(draft);
        return { write, changes: draft.takeChanges(), outcome: { answer } };
      } catch (refusal) {
        draft.forgetChanges();
        return { write, changes: [], outcome: { refusal } };
      }
    });
  }

  /** Makes decisions visible, in order: first to later reads, then to watches, then to the callers. */
  #settle(decided: readonly DecidedWrite[]): void {
    for (const { write, changes, outcome } of decided) {
      for (const change of changes) this.#apply(change);
      if ('refusal' in outcome) write.refuse(outcome.refusal);
      else write.answer(outcome.answer);
    }
  }

  #apply(change: ObjectChange): void {
    const collection = this.#collection(change.resource);
    this.#version = versionOf(change.object);
    if (change.type === 'DELETED') collection.objects.delete(keyOf(change.object));
    else collection.objects.set(keyOf(change.object), change.object);
    collection.history.push(change);
    while (collection.history.length > this.#historyEventsMax)
      collection.historyFloor = versionOf((collection.history.shift() as ObjectChange).object);
    for (const watch of collection.watches) watch.offer(change);
  }

  #fail(cause: unknown, decided: readonly DecidedWrite[]): void {
    const reason = cause instanceof Error ? cause.message : String(cause);
    this.#refusal = `The journal of this store failed, so what the disk holds is unknown and no more writes are taken: ${reason} Start the process again.`;
    const unknown = new StoreError('unknown', `The journal failed at this write: it may be on disk or not. ${reason}`, {
      cause,
      httpStatus: 500,
    });
    for (const { write, changes, outcome } of decided) {
      if ('refusal' in outcome) write.refuse(outcome.refusal);
      // Unchanged on top of what was acknowledged, or only on top of a write that failed with it?
      else if (changes.length === 0 && this.#isAcknowledged(outcome.answer)) write.answer(outcome.answer);
      else write.refuse(unknown);
    }
    for (const write of this.#waiting) write.refuse(new StoreError('rejected', this.#refusal, { cause }));
    this.#waiting = [];
  }

  #isAcknowledged(object: StoredObject): boolean {
    return [...this.#collections.values()].some(({ objects }) => objects.get(keyOf(object)) === object);
  }

  #collection(resource: ResourceType): Collection {
    const name = `${resource.plural}.${resource.group}`;
    let collection = this.#collections.get(name);
    if (collection === undefined) {
      collection = { objects: new Map(), history: [], historyFloor: this.#initialVersion, watches: new Set() };
      this.#collections.set(name, collection);
    }
    return collection;
  }
}

/** Rejects a call whose signal has aborted before it began. */
export function assertNotAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw notSent(signal.reason);
}

function versionOf(object: StoredObject): number {
  return numberOf(object.metadata.resourceVersion);
}
