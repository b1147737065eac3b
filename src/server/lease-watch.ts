import type { StoredLease } from '../kube/lease.ts';
import type { LeaseQuery, LeaseStore } from '../kube/lease-store.ts';
import { ListWatch } from '../kube/list-watch.ts';
import { leaseSource, type Watched, type WatchSource } from '../kube/watch-source.ts';
import type { Clock } from '../system/clock.ts';
import type { Log } from '../system/logger.ts';
import type { Random } from '../system/random.ts';
import type { Timers } from '../system/timers.ts';
import { PacedChecks } from './paced-checks.ts';

export interface LeaseWatchOptions {
  readonly store: Pick<LeaseStore, 'list' | 'watch'>;
  readonly query: LeaseQuery;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly log: Log;
  /**
   * Whether the Lease `key`, `namespace/name`, under this version (`undefined`: gone) can only be somebody else's doing. Asked
   * for every event: O(1), never throws.
   */
  readonly isSurprise: (key: string, version: string | undefined) => boolean;
  /** Reads the Lease, and acts on what it says. */
  readonly check: (key: string) => Promise<void>;
  /** Leases that should be there. */
  readonly expected: () => Iterable<string>;
  /** The whole store was set back to an earlier state. */
  readonly onRestored: () => void;
}

/**
 * Watches Leases that this process is the only one to write, for the hand of somebody else. An event decides nothing: what is no
 * surprise costs a comparison, and a surprise leads to a consistent read, whose result alone is acted upon. Silence proves
 * nothing, so that an outage of the watch only makes the detection later. It writes nothing by itself.
 *
 * It remembers names and versions, some 400 bytes for each Lease.
 */
export class LeaseWatch implements Disposable {
  readonly #options: LeaseWatchOptions;
  readonly #leases: ListWatch<Watched>;
  readonly #checks: PacedChecks;

  constructor(options: LeaseWatchOptions) {
    this.#options = options;
    this.#checks = new PacedChecks(options);
    this.#leases = new ListWatch({
      ...options,
      source: this.#source(),
      onChange: (key) => this.#look(key, true),
    });
  }

  start(): void {
    this.#leases.start();
  }

  /** An own write has its outcome: what was seen of the Lease meanwhile is looked at now. O(1). */
  written(key: string): void {
    this.#look(key, false);
  }

  /** Looks at everything that should be there, as far as it was seen. */
  review(): void {
    for (const key of this.#options.expected()) this.#look(key, this.#leases.synced);
  }

  [Symbol.dispose](): void {
    this.#leases[Symbol.dispose]();
    this.#checks[Symbol.dispose]();
  }

  /** An own creation is known before its event: only a watch that has just seen a Lease go away says that it is missing. */
  #look(key: string, missingCounts: boolean): void {
    const version = this.#leases.get(key)?.metadata.resourceVersion;
    if ((version !== undefined || missingCounts) && this.#options.isSurprise(key, version)) this.#checks.ask(key);
  }

  #source(): WatchSource<Watched> {
    const { store, query, timers } = this.#options;
    const source = leaseSource(store, query);
    return {
      kind: source.kind,
      list: async (options) => {
        const { items, resourceVersion } = await source.list(options);
        // Once the list is taken up. What came and went while nothing was watched is in no list.
        timers.soon(() => this.review());
        return { items: items.map(nameAndVersion), resourceVersion };
      },
      watch: (resourceVersion, handler, options) =>
        source.watch(
          resourceVersion,
          (event) => handler('object' in event ? { ...event, object: nameAndVersion(event.object) } : event),
          options,
        ),
    };
  }
}

function nameAndVersion({ metadata }: StoredLease): Watched {
  const { namespace, name, uid, resourceVersion } = metadata;
  return { metadata: { namespace, name, uid, resourceVersion } };
}
