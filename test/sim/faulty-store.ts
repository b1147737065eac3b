/** The API server as one owner process meets it: slow, refusing, interrupted, and sometimes silent about what it did. */
import type { Lease, StoredLease } from '../../src/kube/lease.ts';
import {
  type CallOptions,
  type LeaseEvent,
  type LeaseList,
  type LeaseQuery,
  type LeaseStore,
  StoreError,
  type WatchQuery,
} from '../../src/kube/lease-store.ts';
import { disposable, onAbort } from '../../src/system/disposables.ts';
import type { VirtualProcess } from '../../src/system/virtual-process.ts';
import type { Chance } from './chance.ts';
import type { Coverage } from './coverage.ts';
import type { History } from './history.ts';
import type { LeaseWorld } from './lease-world.ts';
import type { WeatherSpell } from './plan.ts';
import { whenDone } from './when-done.ts';

export interface FaultyStoreOptions {
  readonly leases: LeaseWorld;
  /** Who calls: answers reach it only while it runs. */
  readonly owner: VirtualProcess;
  readonly ownerName: string;
  /** Never stops. */
  readonly server: VirtualProcess;
  readonly chance: Chance;
  readonly weather: () => WeatherSpell | undefined;
  /** The process stands still from now on, in the middle of what it does. */
  readonly pauseOwner: (forMs: number) => void;
  readonly coverage: Coverage;
  readonly history: History;
  /** Every write that leaves the owner, whatever becomes of it. */
  readonly onAttempt: (lease: Lease) => void;
  readonly onLanded: (lease: StoredLease) => void;
}

type Fate = 'done' | 'rejected' | 'conflict' | 'unknownLost' | 'unknownLanded' | 'slow';

const LANDS_WITHIN_MS = 60_000;

export class FaultyStore implements LeaseStore {
  readonly #options: FaultyStoreOptions;

  constructor(options: FaultyStoreOptions) {
    this.#options = options;
  }

  get(namespace: string, name: string, call: CallOptions = {}): Promise<StoredLease | undefined> {
    return this.#read('get', name, () => this.#options.leases.truth.get(namespace, name), call);
  }

  list(query: LeaseQuery, call: CallOptions = {}): Promise<LeaseList> {
    return this.#read('list', '', () => this.#options.leases.truth.list(query), call);
  }

  create(lease: Lease, call: CallOptions = {}): Promise<StoredLease> {
    return this.#write('create', lease, () => this.#options.leases.truth.create(lease), call);
  }

  update(lease: Lease, call: CallOptions = {}): Promise<StoredLease> {
    return this.#write('update', lease, () => this.#options.leases.truth.update(lease), call);
  }

  delete(namespace: string, name: string, resourceVersion: string, call: CallOptions = {}): Promise<void> {
    const remove = () => this.#options.leases.truth.delete(namespace, name, resourceVersion);
    return this.#call('delete', namespace, name, remove, call);
  }

  /** Events come late and in order, before or after the reply to the write they are of; a watch may fall silent or end. */
  watch(query: WatchQuery, handler: (event: LeaseEvent) => void, call: CallOptions = {}): Disposable {
    const { leases, owner, server, chance, weather, coverage } = this.#options;
    const { truth } = leases;
    let isOpen = true;
    let silent = false;
    let lastDueMs = 0;
    const deliver = (event: LeaseEvent) => {
      const nowMs = server.monotonicMs();
      lastDueMs = Math.max(lastDueMs, nowMs + chance.skewed(0.2, 300));
      owner.after(lastDueMs - nowMs, () => {
        if (isOpen) handler(event);
        if (event.type === 'ERROR') isOpen = false;
      });
    };
    const inner = truth.watch(
      query,
      (event) => {
        if (silent) return;
        const fate = weather() === undefined ? 1 : chance.random.fraction();
        if (fate < 0.02) {
          coverage.hit('watchSilent');
          silent = true;
        } else if (fate < 0.04) {
          coverage.hit('watchEnded');
          silent = true;
          deliver({ type: 'ERROR', code: chance.happens(0.5) ? 'expired' : 'ended', message: 'The watch ended.' });
        } else {
          coverage.hit('watchEvent');
          deliver(event);
        }
      },
      call,
    );
    // A server with a restored backup knows nothing of its watches: connections break, or stay silent.
    const restored = leases.onRestored(() => {
      if (!silent && chance.happens(0.5))
        deliver({ type: 'ERROR', code: 'expired', message: 'The server began anew.' });
      silent = true;
    });
    return disposable(() => {
      isOpen = false;
      restored[Symbol.dispose]();
      inner[Symbol.dispose]();
    });
  }

  #read<Answer>(what: string, name: string, read: () => Promise<Answer>, call: CallOptions): Promise<Answer> {
    return this.#call(what, undefined, name, read, call);
  }

  #write(what: string, lease: Lease, write: () => Promise<StoredLease>, call: CallOptions): Promise<StoredLease> {
    const { onAttempt, onLanded } = this.#options;
    onAttempt(lease);
    const { namespace, name } = lease.metadata;
    const apply = async () => {
      const stored = await write();
      onLanded(stored);
      return stored;
    };
    return this.#call(what, namespace, name, apply, call);
  }

  /** `namespace` is given for writes only. */
  #call<Answer>(
    what: string,
    namespace: string | undefined,
    name: string,
    apply: () => Promise<Answer>,
    call: CallOptions,
  ): Promise<Answer> {
    const { owner, server, chance, coverage, history, leases, ownerName } = this.#options;
    const fate = this.#fateOf(namespace !== undefined, name);
    const toMs = fate === 'slow' ? chance.between(10, 6_000) : chance.between(0.5, 4);
    const fromMs = fate === 'slow' ? chance.between(10, 6_000) : chance.between(0.5, 4);
    if (fate !== 'done') history.note(ownerName, `${what} ${name}: ${fate}`);
    return new Promise<Answer>((resolve, reject) => {
      let answered = false;
      const abort = call.signal && onAbort(call.signal, () => settle(() => reject(unknown())));
      const settle = (tell: () => void) => {
        if (answered) return;
        answered = true;
        abort?.[Symbol.dispose]();
        tell();
      };
      const answer = (delayMs: number, tell: () => void) => owner.after(delayMs, () => settle(tell));
      const perform = (delayMs: number, tells: boolean) =>
        server.after(delayMs, () => {
          whenDone(
            apply(),
            (value) => {
              if (answered && namespace !== undefined) coverage.hit('storeLandedLate');
              if (!tells) coverage.hit('storeUnknownLanded');
              else answer(fromMs, () => resolve(value));
            },
            (error: unknown) => {
              if (tells) answer(fromMs, () => reject(error));
            },
          );
        });

      if (fate === 'rejected') {
        coverage.hit('storeRejected');
        answer(toMs + fromMs, () => reject(this.#rejection(name)));
      } else if (fate === 'unknownLost') {
        coverage.hit('storeUnknownLost');
        answer(chance.between(1, 5_000), () => reject(unknown()));
      } else if (fate === 'unknownLanded') {
        perform(chance.happens(0.5) ? toMs : chance.skewed(1, LANDS_WITHIN_MS), false);
        answer(chance.between(1, 5_000), () => reject(unknown()));
      } else if (fate === 'conflict' && namespace !== undefined) {
        server.after(toMs, () => {
          whenDone(leases.touch(namespace, name, chance), (touched) => {
            if (touched) coverage.hit('storeConflictByEditor');
          });
        });
        perform(toMs, true);
      } else {
        perform(toMs, true);
      }
    });
  }

  #fateOf(isWrite: boolean, name: string): Fate {
    const { chance, weather, coverage, pauseOwner } = this.#options;
    const spell = weather();
    if (spell === undefined) return 'done';
    if (chance.happens(spell.pauseOwner)) {
      coverage.hit('ownerPausedInStoreCall');
      pauseOwner(chance.between(100, 9_000));
    }
    // Authority that is never renewed serves nobody: its own Leases have better weather, as they have in production.
    const force = name.startsWith('lockkeeper-member') ? 0.3 : 1;
    if (chance.happens(spell.rejected * force)) return 'rejected';
    if (chance.happens(spell.unknownLost * force)) return 'unknownLost';
    if (chance.happens(spell.slow * force)) return 'slow';
    if (isWrite && chance.happens(spell.unknownLanded * force)) return 'unknownLanded';
    if (isWrite && chance.happens(spell.conflict * force)) return 'conflict';
    return 'done';
  }

  #rejection(name: string): StoreError {
    const { chance } = this.#options;
    // A refusal for good of the owner's own Leases ends the process; that is rare.
    const forGood = chance.happens(name.startsWith('lock-') ? 0.5 : 0.05);
    const httpStatus = forGood ? chance.pick([403, 404, 422]) : chance.pick([429, 500, 503]);
    return new StoreError('rejected', `The API server answers ${httpStatus}.`, { httpStatus, retryable: !forGood });
  }
}

function unknown(): StoreError {
  return new StoreError('unknown', 'No answer came.');
}
