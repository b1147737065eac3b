import type { Inspection, Reply } from '../api/operations.ts';
import type { LockPolicy } from '../api/policies.ts';
import { SHARD_COUNT, shardOf } from '../api/shard-hash.ts';
import type { SessionListener, TransportListQuery } from '../api/transport.ts';
import { LIMITS } from '../api/limits.ts';
import type { Command } from '../engine/commands.ts';
import type { AuditEvent, RarePath } from '../engine/effects.ts';
import type { ShardEngine } from '../engine/engine.ts';
import type { LeaseStore } from '../kube/lease-store.ts';
import type { Clock } from '../system/clock.ts';
import { disposable } from '../system/disposables.ts';
import type { Log } from '../system/logger.ts';
import type { Random } from '../system/random.ts';
import type { Timers } from '../system/timers.ts';
import { logAudit } from './audit.ts';
import { MemoryConnection } from './memory-connection.ts';
import { PoolCounts, type PoolCount } from './pool-counts.ts';
import { type ConnectionHost, type ConnectionIdentity, ServerConnection } from './server-connection.ts';
import type { GaugeSource, ServerMetrics } from './server-metrics.ts';
import type { ShardDriver } from './shard-driver.ts';
import { ShardOwnership } from './shard-ownership.ts';

export interface LockServerOptions {
  readonly store: LeaseStore;
  /** For the Leases of members and shards, so that lock traffic cannot starve them. Default: `store`. */
  readonly authorityStore?: LeaseStore | undefined;
  /** The operator's namespace, where member and shard Leases are. */
  readonly namespace: string;
  readonly podName: string;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly log: Log;
  readonly metrics?: ServerMetrics | undefined;
  /** Shards of the installation. Default 32; another number than the recorded one is refused. */
  readonly shardCount?: number | undefined;
  /** Incarnations that cannot be alive, so that taking over from them need not wait. Default: none. */
  readonly isKnownDead?: ((incarnation: string) => boolean) | undefined;
  /** Hears every audit event, in order for each lock. Must not throw. */
  readonly onAudit?: ((shard: number, event: AuditEvent) => void) | undefined;
  /** Told once when the process must end: an invariant broke, or no shard can be taken. */
  readonly onFatal: (error: unknown) => void;
}

/** Who wants to know what happens to locks in this process. Called on the path of every operation; must not throw. */
export interface ServerObserver {
  /** Every audit event, in order for each lock. */
  onAudit(shard: number, event: AuditEvent): void;
  /** A shard was taken, for the first time or anew. */
  onOwned(shard: number): void;
}

interface Configured {
  readonly resource: 'lock' | 'pool';
  readonly name: string;
  readonly policy: LockPolicy;
  /** Lowest number that the next token may have, beside what is recorded and what the wall clock says. */
  readonly counterFloor: number;
}

/**
 * The lock server of one process: sessions on one side, the shards it owns on the other. It routes operations to the shard of
 * their key, answers UNAVAILABLE for a shard it does not own at present, and tells sessions of every new epoch.
 */
export class LockServer implements AsyncDisposable {
  readonly #options: LockServerOptions;
  readonly #shardCount: number;
  readonly #ownership: ShardOwnership;
  /** The newest connection of every session. */
  readonly #connections = new Map<number, ServerConnection>();
  readonly #connectionHost: ConnectionHost;
  readonly #configured = new Map<string, Configured>();
  readonly #observers = new Set<ServerObserver>();
  readonly #poolCounts = new PoolCounts();
  readonly #freeSlots: number[] = [];
  #slotsGiven = 0;
  #sessionsGiven = 0;
  #stopping = false;

  private constructor(options: LockServerOptions) {
    this.#options = options;
    this.#shardCount = options.shardCount ?? SHARD_COUNT;
    this.#ownership = new ShardOwnership({
      ...options,
      authorityStore: options.authorityStore ?? options.store,
      shardCount: this.#shardCount,
      isKnownDead: options.isKnownDead ?? (() => false),
      observeWrite: (outcome, seconds) => options.metrics?.wrote(outcome, seconds),
      sink: {
        reply: (sessionId, reply) => this.#reply(sessionId, reply),
        lost: (sessionId, push) => this.#connections.get(sessionId)?.deliverLost(push),
        audit: (shard, event) => this.#audit(shard, event),
        count: (metric, value) => this.#count(metric, value),
      },
      onOwned: (shard, driver) => this.#owned(shard, driver),
    });
    this.#connectionHost = {
      shardCount: this.#shardCount,
      shardOf: (key) => shardOf(key, this.#shardCount),
      submit: (shard, command) => this.#submit(shard, command),
      epochOf: (shard) => this.#ownership.driver(shard)?.engine.epoch,
      nowMs: () => options.clock.monotonicMs(),
      isCurrent: (connection) => (this.#connections.get(connection.identity.id) ?? connection) === connection,
      closed: (connection, reason) => this.#closed(connection, reason),
    };
  }

  /** A server that owns nothing yet, and does nothing before `serve`. */
  static create(options: LockServerOptions): LockServer {
    return new LockServer(options);
  }

  /** A server that owns all shards: `create`, then `serve`. */
  static async start(options: LockServerOptions): Promise<LockServer> {
    const server = LockServer.create(options);
    await server.serve();
    return server;
  }

  /**
   * Joins as a member and takes all shards; to be called once. Waits while another replica owns them. Resolves when this one does,
   * or is disposed before. Rejects if that is refused for sure (layout, clock, damaged record).
   */
  serve(): Promise<void> {
    return this.#ownership.start();
  }

  /**
   * A session in this process. `principal` is its authenticated identity. `predecessorSlot` is the slot of the session of an
   * earlier process whose holds this one will declare: it is told of every reign. Without it the session gets a slot that no
   * record names at that moment (so call it after `serve`), since whoever has one that is on record ends other sessions' wait by
   * saying that it has declared all.
   */
  connect(principal: string, listener: SessionListener, predecessorSlot?: number): MemoryConnection {
    const isResumed = predecessorSlot !== undefined && this.#isSlotRecorded(predecessorSlot);
    const slot = isResumed ? predecessorSlot : this.#freeSlot();
    const identity = { id: ++this.#sessionsGiven, principal, slot, connection: 1, inProcess: true };
    const connection = new ServerConnection(identity, listener, this.#connectionHost);
    this.#connections.set(identity.id, connection);
    if (predecessorSlot !== undefined) connection.announce();
    return new MemoryConnection(connection, { list: (query) => this.list(query) });
  }

  /**
   * A connection of a session that lives elsewhere: its first one, or one that resumes it, here or at a new owner. It supersedes
   * the session's earlier connections and hears of every reign here. The caller authenticates, and gives session ids and slots
   * that no other session has. `undefined` if a newer connection is there, or another principal's session.
   */
  connectRemote(
    identity: Omit<ConnectionIdentity, 'inProcess'>,
    listener: SessionListener,
  ): ServerConnection | undefined {
    const earlier = this.#connections.get(identity.id);
    if (earlier !== undefined) {
      const { principal, connection } = earlier.identity;
      if (principal !== identity.principal || connection >= identity.connection) return undefined;
    }
    const connection = new ServerConnection({ ...identity, inProcess: false }, listener, this.#connectionHost);
    this.#connections.set(identity.id, connection);
    if (earlier !== undefined) connection.supersede(earlier);
    connection.announce();
    return connection;
  }

  get shardCount(): number {
    return this.#shardCount;
  }

  /** Whether this process is the granter of the shard's locks at present. */
  owns(shard: number): boolean {
    return this.#ownership.driver(shard) !== undefined;
  }

  /**
   * Sets, changes or (`undefined`) closes the rules of a DistributedLock. `name` is `namespace/name`. No token below
   * `counterFloor` is given out from then on: a record kept elsewhere may know of more tokens than a Lease that was lost.
   */
  configureLock(name: string, policy: LockPolicy | undefined, counterFloor = 0): void {
    this.#configure('lock', name, policy, counterFloor);
  }

  /** Sets, changes or (`undefined`) closes the rules of a LockPool. `name` is `namespace/name`. */
  configurePool(name: string, policy: LockPolicy | undefined): void {
    this.#configure('pool', name, policy, 0);
  }

  /** Whether a lock or pool has rules at present. */
  hasRules(resource: 'lock' | 'pool', name: string): boolean {
    return this.#configured.has(`${resource} ${name}`);
  }

  /** Tells `observer` of everything from now on, until the answer is disposed. */
  observe(observer: ServerObserver): Disposable {
    this.#observers.add(observer);
    return disposable(() => this.#observers.delete(observer));
  }

  /** Numbers of a LockPool, `namespace/name`, over the shards owned now. */
  poolCount(name: string): PoolCount {
    return this.#poolCounts.of(name, (key) => this.inspect(key)?.waiterCount ?? 0);
  }

  /** A lock as it stands; `undefined` if there is no such lock, or its shard is not owned now. */
  inspect(key: string): Inspection | undefined {
    return this.#ownership
      .driver(shardOf(key, this.#shardCount))
      ?.engine.inspect(key, this.#options.clock.monotonicMs());
  }

  /** Locks of a namespace in the order of their ids; lets other work run between shards, so it is no snapshot. */
  async list({ namespace, prefix, after, limit }: TransportListQuery): Promise<readonly Inspection[]> {
    const keys: string[] = [];
    for (let shard = 0; shard < this.#shardCount; shard++) {
      const engine = this.#ownership.driver(shard)?.engine;
      if (engine !== undefined) keys.push(...engine.listKeys(`${namespace}/${prefix}`, `${namespace}/${after}`, limit));
      if (shard % 8 === 7) await new Promise<void>((resolve) => this.#options.timers.soon(resolve));
    }
    const page = keys.sort((left, right) => (left < right ? -1 : 1)).slice(0, limit);
    return page.map((key) => this.inspect(key)).filter((inspection) => inspection !== undefined);
  }

  /** The engines of the shards owned now; to look at, never to give commands to. */
  engines(): ShardEngine[] {
    return this.#ownership.drivers().map((driver) => driver.engine);
  }

  /** Sums over the shards owned now. */
  gauges(): GaugeSource {
    let holdCount = 0;
    let waiterCount = 0;
    let ownedShards = 0;
    for (const driver of this.#ownership.drivers()) {
      holdCount += driver.engine.holdCount;
      waiterCount += driver.engine.waiterCount;
      ownedShards++;
    }
    return { holdCount, waiterCount, ownedShards };
  }

  /** Which other incarnation this server stands by for; `undefined` if it owns a shard, or waits for nobody. */
  get awaitedOwner(): string | undefined {
    return this.#ownership.awaitedOwner;
  }

  /** Why requests cannot be served now; `undefined` if they can. */
  notReadyReason(): string | undefined {
    if (this.#stopping) return 'this process is shutting down';
    return this.#ownership.notReadyReason();
  }

  /** Stops taking requests, lets writes that are under way land, and leaves, so that a successor need not wait. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true;
    for (const connection of this.#connections.values()) connection.close('lost');
    await this.#ownership[Symbol.asyncDispose]();
  }

  #configure(resource: 'lock' | 'pool', name: string, policy: LockPolicy | undefined, counterFloor: number): void {
    const id = `${resource} ${name}`;
    if (policy === undefined) this.#configured.delete(id);
    else this.#configured.set(id, { resource, name, policy, counterFloor });
    const command = this.#configureCommand(resource, name, policy, counterFloor);
    if (resource === 'lock') {
      const shard = shardOf(name, this.#shardCount);
      this.#submit(shard, command);
      this.#ownership.reviewLock(shard, name);
    } else for (let shard = 0; shard < this.#shardCount; shard++) this.#submit(shard, command);
  }

  #configureCommand(
    resource: 'lock' | 'pool',
    name: string,
    policy: LockPolicy | undefined,
    counterFloor: number,
  ): Command {
    const floor = Math.max(counterFloor, this.#ownership.counterFloor(name));
    return { kind: 'configure', resource, name, policy, counterFloor: floor };
  }

  #submit(shard: number, command: Command): boolean {
    const driver = this.#ownership.driver(shard);
    driver?.submit(command);
    return driver !== undefined;
  }

  /** A shard was taken, for the first time or anew: its rules first, then its sessions, which reclaim what they hold. */
  #owned(shard: number, driver: ShardDriver): void {
    this.#poolCounts.begin(shard);
    for (const { resource, name, policy, counterFloor } of this.#configured.values()) {
      if (resource === 'pool' || shardOf(name, this.#shardCount) === shard)
        driver.submit(this.#configureCommand(resource, name, policy, counterFloor));
    }
    for (const connection of this.#connections.values()) connection.shardOwned(shard, driver.engine.epoch);
    for (const observer of this.#observers) observer.onOwned(shard);
  }

  #reply(sessionId: number, reply: Reply): void {
    if (reply.kind === 'error') this.#options.metrics?.refused(reply.code);
    this.#connections.get(sessionId)?.deliver(reply);
  }

  #audit(shard: number, event: AuditEvent): void {
    const { metrics, onAudit, log } = this.#options;
    metrics?.audit(event);
    onAudit?.(shard, event);
    this.#poolCounts.count(shard, event);
    for (const observer of this.#observers) observer.onAudit(shard, event);
    logAudit(log, event);
  }

  #count(metric: RarePath, value: number): void {
    this.#options.metrics?.count(metric, value);
  }

  /** -1: there are more sessions than slots. */
  #freeSlot(): number {
    const freed = this.#freeSlots.pop();
    if (freed !== undefined) return freed;
    while (this.#slotsGiven < LIMITS.sessionSlotsMax) {
      const slot = this.#slotsGiven++;
      if (!this.#isSlotRecorded(slot)) return slot;
    }
    return -1;
  }

  #isSlotRecorded(slot: number): boolean {
    return this.engines().some((engine) => engine.isSlotRecorded(slot));
  }

  #closed(connection: ServerConnection, reason: 'goodbye' | 'lost'): void {
    const { id, slot, inProcess } = connection.identity;
    if (this.#connections.get(id) !== connection) return;
    this.#connections.delete(id);
    if (slot < 0 || !inProcess) return;
    if (reason === 'goodbye') this.#freeSlots.push(slot);
    // Its holds may live on: the slot is given to nobody else before the longest of them has run out.
    else this.#options.timers.after(LIMITS.ttlMsMax, () => this.#freeSlots.push(slot));
  }
}
