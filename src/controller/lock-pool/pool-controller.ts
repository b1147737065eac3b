import { lockKindOf, policyNameOf } from '../../api/lock-id.ts';
import type { AuditEvent } from '../../engine/effects.ts';
import { LOCK_POOLS, type StoredObject } from '../../kube/kube-object.ts';
import type { ControllerContext } from '../controller-context.ts';
import { eventOf, forceReleasedEvent } from '../event-messages.ts';
import type { EventToTell } from '../events.ts';
import { KindController, type Reconciled } from '../kind-controller.ts';
import { edgeStands, Observations } from '../observations.ts';
import { StatusWriter } from '../status-writer.ts';
import { applyPool, type PoolSinks } from './apply.ts';
import { decidePool } from './decide.ts';
import { type AppliedPoolRules, gatherPool, type PoolSources } from './gather.ts';

/** How often the numbers of a pool are looked at: its keys change too often to follow each. */
const LOOK_MS = 5_000;

/** Keeps LockPools and the rules of their keys in step. */
export class PoolController implements AsyncDisposable {
  readonly kind: KindController;
  readonly #context: ControllerContext;
  readonly #applied = new Map<string, AppliedPoolRules>();
  readonly #uids = new Map<string, string>();
  readonly #observations: Observations;
  readonly #statusWriter: StatusWriter;
  readonly #sources: PoolSources;
  readonly #sinks: PoolSinks;
  #timer: Disposable | undefined;

  constructor(context: ControllerContext) {
    this.#context = context;
    const { authority, clock, store, budget, metrics } = context;
    this.#observations = new Observations(
      (key) => (lockKindOf(key) === 'pool' ? policyNameOf(key) : undefined),
      (edge) => edgeStands(edge, (key) => authority.inspect(key)),
    );
    this.kind = new KindController({ ...context, type: LOCK_POOLS, reconcile: (key) => this.#reconcile(key) });
    this.#statusWriter = new StatusWriter({
      type: LOCK_POOLS,
      store,
      budget,
      noteObject: (object) => this.kind.objects.note(object),
      onWritten: () => metrics?.statusWritten(LOCK_POOLS.kind),
    });
    this.#sources = {
      authority,
      objectOf: (key) => this.kind.objects.get(key),
      appliedTo: (key) => this.#applied.get(key),
      observationOf: (key) => this.#observations.of(key),
      wallMs: () => clock.wallMs(),
    };
    this.#sinks = {
      authority,
      statusWriter: this.#statusWriter,
      tell: (object, key, event) => this.#tell(object, key, event),
      noteApplied: (key, applied) => this.#noteApplied(key, applied),
    };
  }

  /** Something happened to a lock or a key of a pool. Quick; never throws. Single expiries of pool keys are a metric. */
  onAudit(event: AuditEvent): void {
    if (event.type === 'deadlock') {
      for (const name of this.#observations.noteDeadlock(event)) {
        this.kind.queue.add(name);
        this.#tellOf(name, eventOf(event));
      }
      return;
    }
    if (event.type === 'ended') {
      if (event.reason === 'forceReleased' && event.acknowledged && lockKindOf(event.key) === 'pool')
        this.#tellOf(policyNameOf(event.key), forceReleasedEvent([event]));
      return;
    }
    if ((event.type === 'overdue' || event.type === 'reclaimRefused') && lockKindOf(event.key) === 'pool')
      this.#tellOf(policyNameOf(event.key), eventOf(event));
  }

  /** The key's status has its turn. */
  onTurn(key: string): void {
    this.kind.queue.add(key);
  }

  /** A shard was taken: how many are served has changed. */
  onOwned(): void {
    for (const key of this.kind.objects.keys()) this.kind.queue.add(key);
  }

  start(): void {
    this.kind.start();
    this.#lookLater();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#timer?.[Symbol.dispose]();
    return this.kind[Symbol.asyncDispose]();
  }

  #lookLater(): void {
    this.#timer = this.#context.timers.after(LOOK_MS, () => {
      for (const key of this.kind.objects.keys()) this.kind.queue.add(key);
      this.#lookLater();
    });
  }

  async #reconcile(key: string): Promise<Reconciled> {
    const input = gatherPool(key, this.#sources);
    const outcome = await applyPool(input, decidePool(input), this.#sinks);
    return { outcome, reviewInMs: Number.POSITIVE_INFINITY };
  }

  #tellOf(name: string, event: EventToTell | undefined): void {
    if (event !== undefined) this.#tell(this.kind.objects.get(name), name, event);
  }

  #tell(object: StoredObject | undefined, key: string, event: EventToTell): void {
    const uid = object?.metadata.uid ?? this.#uids.get(key);
    if (uid !== undefined) this.#context.tell(LOCK_POOLS, key, uid, event);
  }

  #noteApplied(key: string, applied: AppliedPoolRules | undefined): void {
    if (applied !== undefined) {
      this.#applied.set(key, applied);
      this.#uids.set(key, applied.uid);
      return;
    }
    this.#applied.delete(key);
    this.#uids.delete(key);
    this.#observations.forget(key);
  }
}
