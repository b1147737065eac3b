import { LockkeeperError } from '../api/codes.ts';
import { lockKindOf } from '../api/lock-id.ts';
import { messageOf } from '../api/messages.ts';
import type { Reply } from '../api/operations.ts';
import { shardOf } from '../api/shard-hash.ts';
import type { SessionTransport } from '../api/transport.ts';
import type { AuthorityListener, LockAuthority, LockLease, PoolState } from '../controller/lock-authority.ts';
import type { AuditEvent } from '../engine/effects.ts';
import type { LockPolicy } from '../api/policies.ts';
import type { StoredLease } from '../kube/lease.ts';
import { decodeLockLease } from '../server/lease-codec.ts';
import type { LockServer } from '../server/lock-server.ts';

/** Principal of the controllers' own session, which only ever asks for force releases. */
const PRINCIPAL = 'lockkeeper-controller';

interface PendingRelease {
  readonly resolve: (ended: number) => void;
  readonly reject: (error: unknown) => void;
}

/** The lock server of this process as the controllers see it. Dispose it before the server. */
export class ServerLockAuthority implements LockAuthority, Disposable {
  readonly #server: LockServer;
  readonly #observation: Disposable;
  readonly #listeners = new Set<AuthorityListener>();
  readonly #session: SessionTransport;
  readonly #pending = new Map<number, PendingRelease>();
  /** Highest token of each DistributedLock that was given out, or spent to end one by force. */
  readonly #highestTokens = new Map<string, number>();
  #ref = 0;

  constructor(server: LockServer) {
    this.#server = server;
    this.#observation = server.observe({
      onAudit: (_, event) => this.#onAudit(event),
      onOwned: (shard) => {
        for (const listener of this.#listeners) listener.onOwned(shard);
      },
    });
    this.#session = server.connect(PRINCIPAL, {
      onReply: (reply) => this.#onReply(reply),
      onLost: () => {},
      onEpoch: () => {},
    });
  }

  get shardCount(): number {
    return this.#server.shardCount;
  }

  shardOf(key: string): number {
    return shardOf(key, this.#server.shardCount);
  }

  owns(shard: number): boolean {
    return this.#server.owns(shard);
  }

  configureLock(name: string, policy: LockPolicy | undefined, counterFloor?: number): void {
    this.#server.configureLock(name, policy, counterFloor);
  }

  configurePool(name: string, policy: LockPolicy | undefined): void {
    this.#server.configurePool(name, policy);
  }

  hasRules(resource: 'lock' | 'pool', name: string): boolean {
    return this.#server.hasRules(resource, name);
  }

  inspect(key: string): ReturnType<LockAuthority['inspect']> {
    return this.#server.inspect(key);
  }

  highestToken(key: string): number {
    return this.#highestTokens.get(key) ?? 0;
  }

  poolState(name: string): PoolState {
    const engines = this.#server.engines();
    return {
      ...this.#server.poolCount(name),
      unownedShards: this.#server.shardCount - engines.length,
      recoveringShards: engines.filter((engine) => engine.inGrace).length,
    };
  }

  forceRelease(key: string, reason: string, by: string): Promise<number> {
    return new Promise((resolve, reject) => {
      const ref = ++this.#ref;
      this.#pending.set(ref, { resolve, reject });
      this.#session.send([{ op: 'forceRelease', ref, key, reason, by }]);
    });
  }

  readLockLease(lease: StoredLease): LockLease | undefined {
    const decoded = decodeLockLease(lease);
    if (decoded.kind !== 'lock') return undefined;
    const { key, counter, holders } = decoded.record;
    return { key, counter, holderCount: holders.length };
  }

  subscribe(listener: AuthorityListener): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  [Symbol.dispose](): void {
    this.#observation[Symbol.dispose]();
    this.#listeners.clear();
    this.#session.close('goodbye');
    for (const { reject } of this.#pending.values())
      reject(new LockkeeperError('UNAVAILABLE', 'This process is shutting down.', { reason: 'stopping' }));
    this.#pending.clear();
  }

  #onAudit(event: AuditEvent): void {
    if (event.type === 'granted' || event.type === 'ended') {
      // Ending a hold by force spends the next number too, so that no guard takes the old one.
      const spent = event.type === 'ended' && event.reason === 'forceReleased' ? event.token + 1 : event.token;
      if (lockKindOf(event.key) === 'lock' && spent > this.highestToken(event.key))
        this.#highestTokens.set(event.key, spent);
    }
    for (const listener of this.#listeners) listener.onAudit(event);
  }

  #onReply(reply: Reply): void {
    const pending = this.#pending.get(reply.ref);
    if (pending === undefined) return;
    this.#pending.delete(reply.ref);
    if (reply.kind === 'done') pending.resolve(reply.ended);
    else if (reply.kind === 'error')
      pending.reject(new LockkeeperError(reply.code, messageOf(reply.code, reply.details), reply.details));
    else pending.reject(new LockkeeperError('INTERNAL', `A force release was answered with ${reply.kind}.`));
  }
}
