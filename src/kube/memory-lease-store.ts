import type { Clock } from '../system/clock.ts';
import type { Random } from '../system/random.ts';
import { EmbeddedLeaseStore, leaseObject, leaseOf } from './embedded/embedded-lease-store.ts';
import { ObjectLog } from './embedded/object-log.ts';
import { LEASES } from './kube-object.ts';
import { type StoredLease, freezeLease } from './lease.ts';

/** One change of one Lease, in the order of `lease.metadata.resourceVersion`. */
export interface LeaseChange {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  /** The new state; for `DELETED` the last one, with the version of the deletion. */
  readonly lease: StoredLease;
  /** The state before; `undefined` for `ADDED`. */
  readonly previous: StoredLease | undefined;
}

/** Where changes are made durable before anybody hears of them: an `ObjectJournal` of Leases alone. */
export interface LeaseJournal {
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

/**
 * Leases alone in memory, with the semantics of an API server: one version number that grows over all Leases, compare-and-swap,
 * validation, watches that resume from a version within a bounded history. What goes in and out is a deep-frozen copy. How
 * writes, the journal and watches go together: see `ObjectLog`. Leases among objects of other kinds: see `EmbeddedStore`.
 */
export class MemoryLeaseStore extends EmbeddedLeaseStore implements Disposable {
  readonly #log: ObjectLog;

  constructor({ initial, journal, historyEventsMax, ...platform }: MemoryLeaseStoreOptions) {
    const log = new ObjectLog({
      initial: initial && {
        objects: initial.leases.map((lease) => [LEASES, leaseObject(freezeLease(lease, lease.metadata))] as const),
        resourceVersion: initial.resourceVersion,
      },
      journal: journal && {
        append: (changes) =>
          journal.append(
            changes.map(({ type, object, previous }) => ({
              type,
              lease: leaseOf(object),
              previous: previous && leaseOf(previous),
            })),
          ),
      },
      historyEventsMax,
    });
    super(log, platform);
    this.#log = log;
  }

  /** Ends every watch and takes no more writes. Writes that were called before are still answered. */
  [Symbol.dispose](): void {
    this.#log[Symbol.dispose]();
  }
}
