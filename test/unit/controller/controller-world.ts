import { customResourceDefinitions } from '../../../src/api/custom-resources/definitions.ts';
import { API_VERSION } from '../../../src/api/custom-resources/resource.ts';
import type { DistributedLockStatus } from '../../../src/api/custom-resources/distributed-lock.ts';
import { type Controllers, startControllers } from '../../../src/controller/controllers.ts';
import { ServerLockAuthority } from '../../../src/operator/lock-authority.ts';
import { EmbeddedStore } from '../../../src/kube/embedded/embedded-store.ts';
import {
  DISTRIBUTED_LOCKS,
  EVENTS,
  LOCK_POOLS,
  type ResourceType,
  type StoredObject,
} from '../../../src/kube/kube-object.ts';
import { LockServer } from '../../../src/server/lock-server.ts';
import { silentLog } from '../../../src/system/logger.ts';
import { seededRandom } from '../../../src/system/random.ts';
import { VirtualTime } from '../../../src/system/virtual.ts';
import { FakeObjectStore } from '../../support/fake-object-store.ts';
import { TestClient, WALL_MS } from '../../support/server-world.ts';

/** One operator process on the embedded API: lock server and controllers. It can be stopped or crash, and start again. */
export class ControllerWorld {
  readonly time = new VirtualTime({ wallMs: WALL_MS });
  readonly random = seededRandom(11);
  readonly embedded: EmbeddedStore;
  readonly store: FakeObjectStore;
  server!: LockServer;
  authority!: ServerLockAuthority;
  controllers!: Controllers;

  constructor(definitions: readonly unknown[] = customResourceDefinitions()) {
    this.embedded = new EmbeddedStore({
      clock: this.time,
      random: this.random,
      customResourceDefinitions: definitions,
    });
    this.store = new FakeObjectStore(this.embedded, () => this.time.monotonicMs());
  }

  static async started(definitions?: readonly unknown[]): Promise<ControllerWorld> {
    const world = new ControllerWorld(definitions);
    await world.start();
    return world;
  }

  async start(): Promise<void> {
    const state: { server?: LockServer } = {};
    void LockServer.start({
      store: this.embedded.leases,
      namespace: 'lockkeeper-system',
      podName: 'operator-0',
      clock: this.time,
      timers: this.time,
      random: this.random,
      log: silentLog,
      isKnownDead: () => true,
      onFatal: (error) => {
        throw error;
      },
    }).then((server) => Object.assign(state, { server }));
    for (let tries = 0; state.server === undefined && tries < 100; tries++) await this.time.runBy(50);
    this.server = state.server as LockServer;
    this.authority = new ServerLockAuthority(this.server);
    this.controllers = startControllers({
      store: this.store,
      leases: this.embedded.leases,
      authority: this.authority,
      instance: 'operator-0',
      clock: this.time,
      timers: this.time,
      random: this.random,
      log: silentLog,
    });
    await this.time.runBy(100);
  }

  /** Stops cleanly. */
  async stop(): Promise<void> {
    const stopped = (async () => {
      await this.controllers[Symbol.asyncDispose]();
      this.authority[Symbol.dispose]();
      await this.server[Symbol.asyncDispose]();
    })();
    await this.time.runBy(1_000);
    await stopped;
  }

  client(principal = 'pod-a'): TestClient {
    return new TestClient(this.server, this.time, principal);
  }

  /** Creates a lock `shop/NAME` and lets the controller see it. */
  async createLock(name: string, spec: object = {}, annotations?: Record<string, string>): Promise<StoredObject> {
    const metadata = { name, namespace: 'shop', ...(annotations === undefined ? {} : { annotations }) };
    const object = { apiVersion: API_VERSION, kind: 'DistributedLock', metadata, spec };
    const created = await this.embedded.create(DISTRIBUTED_LOCKS, object);
    await this.time.runBy(1_100);
    return created;
  }

  async createPool(name: string, spec: object = {}): Promise<StoredObject> {
    const metadata = { name, namespace: 'shop' };
    const created = await this.embedded.create(LOCK_POOLS, {
      apiVersion: API_VERSION,
      kind: 'LockPool',
      metadata,
      spec,
    });
    await this.time.runBy(1_100);
    return created;
  }

  async object(name: string, type: ResourceType = DISTRIBUTED_LOCKS): Promise<StoredObject | undefined> {
    return this.embedded.get(type, 'shop', name);
  }

  async status(name: string): Promise<DistributedLockStatus> {
    return (await this.object(name))?.['status'] ?? {};
  }

  /** `Type=Status/Reason`. */
  async conditions(name: string, type: ResourceType = DISTRIBUTED_LOCKS): Promise<string[]> {
    const status = (await this.object(name, type))?.['status'] as DistributedLockStatus | undefined;
    return (status?.conditions ?? []).map((each) => `${each.type}=${each.status}/${each.reason}`);
  }

  /** `Type Reason xCount: message`, in order of their making. */
  async events(): Promise<string[]> {
    const { items } = await this.embedded.list(EVENTS, { namespace: 'shop' });
    return items
      .toSorted((left, right) => Number(left.metadata.resourceVersion) - Number(right.metadata.resourceVersion))
      .map(
        (each) =>
          `${String(each['type'])} ${String(each['reason'])} x${String(each['count'])}: ${String(each['message'])}`,
      );
  }

  async annotate(name: string, annotations: Record<string, string | null>): Promise<void> {
    await this.embedded.patch(DISTRIBUTED_LOCKS, 'shop', name, { metadata: { annotations } });
  }
}
