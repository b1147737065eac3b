import type { HoldReply, LostPush, Operation, Reply } from '../../src/api/operations.ts';
import { DEFAULT_LOCK_POLICY, DEFAULT_POOL_POLICY } from '../../src/api/policies.ts';
import type { SessionListener } from '../../src/api/transport.ts';
import type { MemoryConnection } from '../../src/server/memory-connection.ts';
import { MemoryLeaseStore } from '../../src/kube/memory-lease-store.ts';
import { LockServer, type LockServerOptions } from '../../src/server/lock-server.ts';
import { silentLog } from '../../src/system/logger.ts';
import { seededRandom } from '../../src/system/random.ts';
import { VirtualTime } from '../../src/system/virtual.ts';

/** 2026-06-01: a wall clock that the counters take as plausible. */
export const WALL_MS = 1_780_272_000_000;

type Unsent = Operation extends infer Each ? (Each extends { ref: number } ? Omit<Each, 'ref'> : never) : never;

/** A client of the server: asks, collects what it is told. */
export class TestClient {
  readonly transport: MemoryConnection;
  readonly replies = new Map<number, Reply>();
  readonly lost: LostPush[] = [];
  readonly epochs: { readonly shard: number; readonly epoch: number }[] = [];
  readonly #time: VirtualTime;
  #ref = 0;

  constructor(server: LockServer, time: VirtualTime, principal: string, predecessorSlot?: number) {
    this.#time = time;
    const listener: SessionListener = {
      onReply: (reply) => {
        if (reply.kind !== 'queued') this.replies.set(reply.ref, reply);
      },
      onLost: (push) => this.lost.push(push),
      onEpoch: (shard, epoch) => this.epochs.push({ shard, epoch }),
    };
    this.transport = server.connect(principal, listener, predecessorSlot);
  }

  /** Says to every owner that it was told of that everything is declared. */
  completesReclaim(): void {
    for (const { shard, epoch } of this.epochs) this.transport.reclaimComplete(shard, epoch);
  }

  /** Sends and returns the correlation number, without waiting. */
  send(operation: Unsent): number {
    const ref = ++this.#ref;
    this.transport.send([{ ...operation, ref }]);
    return ref;
  }

  /** Sends and gives the answer, letting up to `withinMs` pass for it; `undefined` if none came. */
  async ask(operation: Unsent, withinMs = 50): Promise<Reply | undefined> {
    const ref = this.send(operation);
    await this.#time.runBy(0);
    if (!this.replies.has(ref)) await this.#time.runBy(withinMs);
    return this.replies.get(ref);
  }

  async acquire(
    key: string,
    ownerId: string,
    options: { ttlMs?: number; timeoutMs?: number } = {},
  ): Promise<HoldReply> {
    const reply = await this.ask({ op: 'acquire', key, ownerId, mode: 'exclusive', timeoutMs: 0, ...options });
    if (reply?.kind !== 'hold') throw new Error(`not granted: ${JSON.stringify(reply)}`);
    return reply;
  }
}

/** A virtual clock, one Lease store, and servers on it, one after the other or side by side. */
export class ServerWorld {
  readonly time = new VirtualTime({ wallMs: WALL_MS });
  readonly random = seededRandom(7);
  readonly leases: MemoryLeaseStore;

  constructor() {
    this.leases = new MemoryLeaseStore({ clock: this.time, random: this.random });
  }

  /** Starts a server; virtual time passes until it serves. It has a lock `shop/migrations` and a pool `shop/orders`. */
  async start(options: Partial<LockServerOptions> = {}, withinMs = 30_000): Promise<LockServer> {
    const state: { server?: LockServer; failure?: unknown } = {};
    const started = LockServer.start({
      store: this.leases,
      namespace: 'lockkeeper-system',
      podName: 'operator-0',
      clock: this.time,
      timers: this.time,
      random: this.random,
      log: silentLog,
      onFatal: (error) => {
        throw error;
      },
      ...options,
    });
    started
      .then((server) => Object.assign(state, { server }))
      .catch((failure: unknown) => Object.assign(state, { failure }));
    for (let waitedMs = 0; Object.keys(state).length === 0 && waitedMs <= withinMs; waitedMs += 50) {
      await this.time.runBy(50);
    }
    if (state.failure !== undefined) throw state.failure;
    const { server } = state;
    if (server === undefined) throw new Error('the server did not start in time');
    server.configureLock('shop/migrations', DEFAULT_LOCK_POLICY);
    server.configurePool('shop/orders', DEFAULT_POOL_POLICY);
    return server;
  }

  /** `predecessorSlot`: of the session of an earlier server whose holds it declares. */
  client(server: LockServer, principal = 'pod-a', predecessorSlot?: number): TestClient {
    return new TestClient(server, this.time, principal, predecessorSlot);
  }
}
