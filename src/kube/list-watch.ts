import type { Clock } from '../system/clock.ts';
import type { Log } from '../system/logger.ts';
import type { Random } from '../system/random.ts';
import type { Timers } from '../system/timers.ts';
import { type BackoffOptions, backoffMs } from './backoff.ts';
import { StoreError } from './lease-store.ts';
import type { ObjectEvent } from './object-store.ts';
import type { WatchSource, Watched } from './watch-source.ts';

export interface ListWatchOptions<Item extends Watched> {
  /** What to list and watch: `objectSource` or `leaseSource`. */
  readonly source: WatchSource<Item>;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly log: Log;
  /** `namespace/name` of an object that is new, changed or gone. Must not throw. */
  readonly onChange: (key: string) => void;
  /** The first list is in, after `onChange` for all of it. */
  readonly onSynced?: (() => void) | undefined;
  /**
   * The store shows a state from before what it had shown already: a restored backup. Called before `onChange` for everything
   * that was known and everything that is there now.
   */
  readonly onRestored?: (() => void) | undefined;
}

const BACKOFF: BackoffOptions = { firstMs: 500, maxMs: 30_000 };
/** A watch that lived this long was healthy: the next failure is the first one again. */
const HEALTHY_MS = 30_000;
/** A watch may be dead without a sign; each is replaced after 5 to 10 minutes, from where it stood. */
const WATCH_MS_MIN = 300_000;
/** Objects known to be gone, so that a late answer to a write does not bring one back. */
const GONE_MAX = 10_000;

/**
 * The objects of one kind, as far as this process knows: a list, then a watch from its version on. A watch that ends goes on
 * where it stood, one that is too old is preceded by a new list, whose differences are told like any change. Failures wait
 * their turn with a growing, jittered pause, which is never shorter than what the server asked for. What is known never goes
 * back, in whichever order the answer to an own write and its event come; only a store that was itself set back to an earlier
 * state, seen by the versions of a list or of a bookmark, is taken as it is.
 *
 * Not promised: that what is known is the newest state, or that every state in between is told.
 */
export class ListWatch<Item extends Watched> implements Disposable {
  readonly #options: ListWatchOptions<Item>;
  readonly #objects = new Map<string, Item>();
  readonly #gone = new Set<string>();
  readonly #abort = new AbortController();
  #version: string | undefined;
  #watch: Disposable | undefined;
  #timer: Disposable | undefined;
  #failures = 0;
  #startedAtMs = 0;
  #synced = false;

  constructor(options: ListWatchOptions<Item>) {
    this.#options = options;
  }

  /** Whether the first list is in. Before that, absence means nothing. */
  get synced(): boolean {
    return this.#synced;
  }

  start(): void {
    void this.#list();
  }

  get(key: string): Item | undefined {
    return this.#objects.get(key);
  }

  keys(): Iterable<string> {
    return this.#objects.keys();
  }

  /** Takes what the store answered to an own write, so that the next look does not see the state before it. */
  note(object: Item): void {
    if (!this.#gone.has(object.metadata.uid)) this.#keep(object);
  }

  [Symbol.dispose](): void {
    this.#abort.abort();
    this.#watch?.[Symbol.dispose]();
    this.#timer?.[Symbol.dispose]();
  }

  async #list(): Promise<void> {
    const { source, log, onChange, onSynced } = this.#options;
    const { signal } = this.#abort;
    try {
      const { items, resourceVersion } = await source.list({ signal });
      if (signal.aborted) return;
      if (this.#wentBack(items, resourceVersion)) this.#restored();
      this.#version = resourceVersion;
      const listed = new Set<string>();
      for (const object of items) {
        const key = keyOf(object);
        listed.add(key);
        if (this.#keep(object)) onChange(key);
      }
      for (const [key, object] of [...this.#objects]) {
        if (listed.has(key) || isNewer(object.metadata.resourceVersion, resourceVersion)) continue;
        this.#remove(key, object);
        onChange(key);
      }
    } catch (error) {
      if (signal.aborted) return;
      log.warn({ kind: source.kind, error }, 'could not list objects; trying again');
      this.#retry(() => void this.#list(), error instanceof StoreError ? error.retryAfterMs : undefined);
      return;
    }
    this.#follow();
    if (this.#synced) return;
    this.#synced = true;
    onSynced?.();
  }

  #follow(): void {
    const { source, clock, timers, random, log } = this.#options;
    const { signal } = this.#abort;
    this.#timer?.[Symbol.dispose]();
    this.#watch?.[Symbol.dispose]();
    this.#startedAtMs = clock.monotonicMs();
    // Events of a watch that was replaced are not listened to: the one after it tells them again.
    let current = true;
    const stop = (watch: Disposable) => ({
      [Symbol.dispose]: () => {
        current = false;
        watch[Symbol.dispose]();
      },
    });
    try {
      const hear = (event: ObjectEvent<Item>) => (current && !signal.aborted ? this.#hear(event) : undefined);
      this.#watch = stop(source.watch(this.#version as string, hear, { signal }));
    } catch (error) {
      log.warn({ kind: source.kind, error }, 'could not watch objects; listing them again');
      this.#retry(() => void this.#list());
      return;
    }
    this.#timer = timers.after(WATCH_MS_MIN * (1 + random.fraction()), () => this.#follow());
  }

  #hear(event: ObjectEvent<Item>): void {
    switch (event.type) {
      case 'BOOKMARK':
        // Versions of one store only grow. One that is behind has lost what came after: list what is left.
        if (isNewer(this.#version as string, event.resourceVersion)) this.#ended('expired', undefined);
        else this.#version = event.resourceVersion;
        return;
      case 'ERROR':
        this.#ended(event.code, event.retryAfterMs);
        return;
      case 'DELETED': {
        this.#version = event.object.metadata.resourceVersion;
        const key = keyOf(event.object);
        const known = this.#objects.get(key);
        // A successor of the same name may be known already, from the answer that created it.
        if (known !== undefined && known.metadata.uid !== event.object.metadata.uid) {
          this.#noteGone(event.object);
          return;
        }
        this.#remove(key, event.object);
        this.#options.onChange(key);
        return;
      }
      case 'ADDED':
      case 'MODIFIED':
        this.#version = event.object.metadata.resourceVersion;
        if (!this.#gone.has(event.object.metadata.uid) && this.#keep(event.object))
          this.#options.onChange(keyOf(event.object));
    }
  }

  #ended(code: 'expired' | 'ended', retryAfterMs: number | undefined): void {
    this.#watch?.[Symbol.dispose]();
    this.#watch = undefined;
    if (this.#options.clock.monotonicMs() - this.#startedAtMs >= HEALTHY_MS) this.#failures = 0;
    this.#retry(code === 'expired' ? () => void this.#list() : () => this.#follow(), retryAfterMs);
  }

  #retry(run: () => void, retryAfterMs = 0): void {
    const { timers, random } = this.#options;
    this.#failures++;
    this.#timer?.[Symbol.dispose]();
    // The first time nothing is wrong yet: servers end watches as they like.
    const delayMs = this.#failures <= 1 ? random.fraction() * 100 : backoffMs(this.#failures - 1, BACKOFF, random);
    this.#timer = timers.after(Math.max(delayMs, retryAfterMs), run);
  }

  /**
   * Versions of one store only grow. Its own may have grown beyond what was known, but an object whose version was part of that
   * state and is an older one now gives it away.
   */
  #wentBack(items: readonly Item[], resourceVersion: string): boolean {
    if (this.#version !== undefined && isNewer(this.#version, resourceVersion)) return true;
    return items.some((object) => {
      const known = this.#objects.get(keyOf(object))?.metadata.resourceVersion;
      return known !== undefined && isNewer(known, object.metadata.resourceVersion) && !isNewer(known, resourceVersion);
    });
  }

  #restored(): void {
    const { source, log, onChange, onRestored } = this.#options;
    log.error(
      { kind: source.kind, known: this.#version },
      'the store went back to an earlier state: a restored backup',
    );
    const before = [...this.#objects.keys()];
    this.#objects.clear();
    this.#gone.clear();
    onRestored?.();
    for (const key of before) onChange(key);
  }

  /** Whether this is news. */
  #keep(object: Item): boolean {
    const key = keyOf(object);
    const known = this.#objects.get(key);
    if (known !== undefined && !isNewer(object.metadata.resourceVersion, known.metadata.resourceVersion)) return false;
    if (known !== undefined && known.metadata.uid !== object.metadata.uid) this.#noteGone(known);
    this.#objects.set(key, object);
    return true;
  }

  #remove(key: string, object: Item): void {
    this.#objects.delete(key);
    this.#noteGone(object);
  }

  #noteGone({ metadata }: Item): void {
    this.#gone.add(metadata.uid);
    if (this.#gone.size <= GONE_MAX) return;
    for (const oldest of this.#gone) {
      this.#gone.delete(oldest);
      return;
    }
  }
}

/** `namespace/name`. */
export function keyOf({ metadata }: Watched): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`;
}

/**
 * Whether one version of an object, or of a list, came after another. API servers promise that versions of one kind are integers
 * that grow. Shorter is smaller; none of them has leading zeros.
 */
export function isNewer(version: string, than: string): boolean {
  return version.length === than.length ? version > than : version.length > than.length;
}
