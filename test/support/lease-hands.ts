/** Hands that are laid on the Leases of a running server, and faults of the store it sees. */
import type { AuditEvent } from '../../src/engine/effects.ts';
import type { StoredLease } from '../../src/kube/lease.ts';
import { type LeaseEvent, type LeaseStore, StoreError } from '../../src/kube/lease-store.ts';
import type { MemoryLeaseStore } from '../../src/kube/memory-lease-store.ts';
import { decodeLockLease } from '../../src/server/lease-codec.ts';
import type { LockServer, LockServerOptions } from '../../src/server/lock-server.ts';
import { disposable } from '../../src/system/disposables.ts';
import { ServerWorld, type TestClient } from './server-world.ts';

/** The lock of every scene, and its Lease in the namespace `shop`. */
export const LOCK = 'shop/migrations';
export const LEASE = 'lock-migrations';
/** A key of a pool. */
export const KEY = 'shop/orders/42';
/** The operator's namespace. */
export const SYSTEM = 'lockkeeper-system';

export type Edit = (lease: StoredLease) => Partial<Pick<StoredLease, 'spec'>> & { metadata?: object };

/** Sets annotations and keeps the others. */
export const annotate =
  (changes: Record<string, string>): Edit =>
  ({ metadata }) => ({ metadata: { annotations: { ...metadata.annotations, ...changes } } });

export const versionOf = ({ metadata }: StoredLease) => Number(metadata.resourceVersion);

/** A store as a server sees it, with faults. */
export class Wrapped {
  target: MemoryLeaseStore;
  watches: 'working' | 'silent' | 'refused' = 'working';
  failUpdates: (() => Error) | undefined;
  /** Takes updates of locks that are on their way, to be let through later. */
  holdBack: (() => Promise<unknown>)[] | undefined;
  /** Reads of single Leases. */
  reads = 0;
  readonly #handlers = new Set<(event: LeaseEvent) => void>();
  readonly store: LeaseStore;

  constructor(target: MemoryLeaseStore) {
    this.target = target;
    this.store = {
      get: (...call) => {
        this.reads++;
        return this.target.get(...call);
      },
      list: (...call) => this.target.list(...call),
      create: (...call) => this.target.create(...call),
      update: (lease, options) => {
        if (this.failUpdates !== undefined) return Promise.reject(this.failUpdates());
        if (this.holdBack === undefined || !lease.metadata.name.startsWith('lock-'))
          return this.target.update(lease, options);
        this.holdBack.push(() => this.target.update(lease));
        return new Promise(() => {});
      },
      delete: (...call) => this.target.delete(...call),
      watch: (query, handler, options) => {
        if (this.watches === 'refused') throw new StoreError('rejected', 'no watch', { retryable: true });
        if (this.watches === 'silent') return disposable(() => {});
        this.#handlers.add(handler);
        return this.target.watch(query, handler, options);
      },
    };
  }

  endWatches(): void {
    for (const handler of this.#handlers) handler({ type: 'ERROR', code: 'expired', message: 'too old' });
    this.#handlers.clear();
  }
}

/** A world with one server, what it audits, and hands on its Leases. */
export class Scene {
  readonly world: ServerWorld;
  readonly events: AuditEvent[] = [];
  server!: LockServer;
  client!: TestClient;

  private constructor(world: ServerWorld) {
    this.world = world;
  }

  static async open(options: Partial<LockServerOptions> = {}, world = new ServerWorld()): Promise<Scene> {
    const scene = new Scene(world);
    scene.server = await scene.world.start({ ...options, onAudit: (_, event) => scene.events.push(event) });
    scene.client = scene.world.client(scene.server);
    await scene.world.time.runBy(1_000);
    return scene;
  }

  get recordEvents(): string[] {
    return this.events.flatMap(({ type }) => (type.startsWith('record') ? type : []));
  }

  async lease(namespace = 'shop', name = LEASE): Promise<StoredLease> {
    const lease = await this.world.leases.get(namespace, name);
    if (lease === undefined) throw new Error(`no Lease ${namespace}/${name}`);
    return lease;
  }

  async record() {
    const decoded = decodeLockLease(await this.lease());
    if (decoded.kind !== 'lock') throw new Error(JSON.stringify(decoded));
    return decoded.record;
  }

  async edit(edit: Edit, namespace = 'shop', name = LEASE): Promise<StoredLease> {
    const lease = await this.lease(namespace, name);
    const { metadata = {}, spec = lease.spec } = edit(lease);
    return this.world.leases.update({ metadata: { ...lease.metadata, ...metadata }, spec });
  }

  async delete(namespace = 'shop', name = LEASE): Promise<void> {
    const { metadata } = await this.lease(namespace, name);
    await this.world.leases.delete(namespace, name, metadata.resourceVersion);
  }

  /** Puts an earlier state of a Lease back, as `kubectl replace` of a saved file does. */
  async putBack({ metadata, spec }: StoredLease): Promise<void> {
    const now = await this.lease(metadata.namespace, metadata.name);
    const { resourceVersion, uid } = now.metadata;
    await this.world.leases.update({ metadata: { ...metadata, resourceVersion, uid }, spec });
  }

  /** Nobody asks anything: only the watch can notice. */
  idle(forMs = 500): Promise<void> {
    return this.world.time.runBy(forMs);
  }

  tryLock(ownerId: string) {
    return this.client.ask({ op: 'acquire', key: LOCK, ownerId, mode: 'exclusive', timeoutMs: 0 });
  }
}
