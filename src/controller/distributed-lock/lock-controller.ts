import { lockKindOf } from '../../api/lock-id.ts';
import type { AuditEvent, EndedEvent } from '../../engine/effects.ts';
import { DISTRIBUTED_LOCKS, type StoredObject } from '../../kube/kube-object.ts';
import type { ControllerContext } from '../controller-context.ts';
import { eventOf, forceReleasedEvent } from '../event-messages.ts';
import type { EventToTell } from '../events.ts';
import { KindController, type Reconciled } from '../kind-controller.ts';
import { edgeStands, Observations } from '../observations.ts';
import { StatusWriter } from '../status-writer.ts';
import { applyLock, type LockSinks } from './apply.ts';
import { decideLock } from './decide.ts';
import { type AppliedRules, gatherLock, type LockSources } from './gather.ts';

/** Keeps DistributedLocks and the locks they stand for in step. */
export class LockController implements AsyncDisposable {
  readonly kind: KindController;
  readonly statusWriter: StatusWriter;
  readonly #context: ControllerContext;
  readonly #applied = new Map<string, AppliedRules>();
  /** Which object a lock's rules came from: for Events about a lock whose object is gone. */
  readonly #uids = new Map<string, string>();
  readonly #observations: Observations;
  /** Ends by force of this turn of the event loop, which one Event tells. */
  readonly #forced = new Map<string, EndedEvent[]>();
  readonly #sources: LockSources;
  readonly #sinks: LockSinks;

  constructor(context: ControllerContext) {
    this.#context = context;
    const { authority, clock, store, budget, metrics } = context;
    this.#observations = new Observations(
      (key) => (lockKindOf(key) === 'lock' ? key : undefined),
      (edge) => edgeStands(edge, (key) => authority.inspect(key)),
    );
    this.kind = new KindController({ ...context, type: DISTRIBUTED_LOCKS, reconcile: (key) => this.#reconcile(key) });
    const noteObject = (object: StoredObject) => this.kind.objects.note(object);
    this.statusWriter = new StatusWriter({
      type: DISTRIBUTED_LOCKS,
      store,
      budget,
      noteObject,
      onWritten: () => metrics?.statusWritten(DISTRIBUTED_LOCKS.kind),
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
      store,
      statusWriter: this.statusWriter,
      noteObject,
      tell: (object, key, event) => this.#tell(object, key, event),
      noteApplied: (key, applied) => this.#noteApplied(key, applied),
    };
  }

  /** Something happened to a lock or a key of a pool. Quick; never throws. */
  onAudit(event: AuditEvent): void {
    if (event.type === 'deadlock') {
      for (const key of this.#observations.noteDeadlock(event)) this.#noticed(key, event);
      return;
    }
    const { key } = event;
    if (key === undefined || event.type === 'renewed' || event.type === 'reentered' || lockKindOf(key) !== 'lock')
      return;
    if (event.type === 'granted') this.#observations.noteGranted(key);
    if (event.type === 'recordAccepted') this.#observations.noteWritten(key);
    if (event.type === 'recordRefused' || event.type === 'recordUnusable')
      this.#observations.noteRefusal(key, event.text, event.type === 'recordUnusable');
    if (event.type === 'ended' && event.reason === 'forceReleased' && event.acknowledged) this.#noteForced(event);
    this.#noticed(key, event);
  }

  /** A shard is granted by this process from now on: its locks are reported on by it. */
  onOwned(shard: number): void {
    for (const key of this.kind.objects.keys()) {
      if (this.#context.authority.shardOf(key) !== shard) continue;
      this.#observations.noteWritten(key);
      this.kind.queue.add(key);
    }
  }

  start(): void {
    this.kind.start();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kind[Symbol.asyncDispose]();
  }

  async #reconcile(key: string): Promise<Reconciled> {
    const input = gatherLock(key, this.#sources);
    const decision = decideLock(input);
    const outcome = await applyLock(input, decision, this.#sinks);
    return { outcome, reviewInMs: decision.reviewInMs };
  }

  #noticed(key: string, event: AuditEvent): void {
    if (this.kind.objects.get(key) !== undefined) this.statusWriter.ask(key);
    const told = eventOf(event);
    if (told !== undefined) this.#tell(this.kind.objects.get(key), key, told);
  }

  #noteForced(event: EndedEvent): void {
    const known = this.#forced.get(event.key);
    if (known !== undefined) {
      known.push(event);
      return;
    }
    this.#forced.set(event.key, [event]);
    this.#context.timers.soon(() => {
      const ended = this.#forced.get(event.key) ?? [];
      this.#forced.delete(event.key);
      this.#tell(this.kind.objects.get(event.key), event.key, forceReleasedEvent(ended));
    });
  }

  #tell(object: StoredObject | undefined, key: string, event: EventToTell): void {
    const uid = object?.metadata.uid ?? this.#uids.get(key);
    if (uid !== undefined) this.#context.tell(DISTRIBUTED_LOCKS, key, uid, event);
  }

  #noteApplied(key: string, applied: AppliedRules | undefined): void {
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
