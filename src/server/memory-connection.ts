import type { LostPush, Operation, Reply } from '../api/operations.ts';
import type { Inspection } from '../api/operations.ts';
import type { SessionListener, SessionTransport, TransportListQuery } from '../api/transport.ts';
import type { Command } from '../engine/commands.ts';

/** What a connection needs of its server. */
export interface ConnectionHost {
  readonly shardCount: number;
  shardOf(key: string): number;
  /** False if this process does not own the shard now. */
  submit(shard: number, command: Command): boolean;
  beforeAcquire(key: string): void;
  list(query: TransportListQuery): Promise<readonly Inspection[]>;
  closed(reason: 'goodbye' | 'lost'): void;
}

export interface SessionIdentity {
  readonly id: number;
  readonly principal: string;
  readonly slot: number;
}

/** A connection never has another one before or after it: in memory nothing is ever cut and resumed. */
const CONNECTION = 1;
const RETRY_AFTER_MS = 500;

/** The transport of a session that lives in the server's own process. Frames are processed within `send`. */
export class MemoryConnection implements SessionTransport {
  readonly #identity: SessionIdentity;
  readonly #listener: SessionListener;
  readonly #host: ConnectionHost;
  /** Shards whose engine knows the session. */
  readonly #opened = new Set<number>();
  #frame = 0;
  #isClosed = false;

  constructor(identity: SessionIdentity, listener: SessionListener, host: ConnectionHost) {
    this.#identity = identity;
    this.#listener = listener;
    this.#host = host;
  }

  get sessionId(): number {
    return this.#identity.id;
  }

  get slot(): number {
    return this.#identity.slot;
  }

  send(operations: readonly Operation[]): number {
    const frame = ++this.#frame;
    if (this.#isClosed) {
      for (const { ref } of operations) this.#refuse(ref, 'shuttingDown');
    } else if (operations.length === 0) {
      for (const shard of this.#opened) this.#host.submit(shard, { kind: 'heard', ...this.#who, frame });
    } else {
      for (const operation of operations) this.#operate(operation, frame);
    }
    return frame;
  }

  list(query: TransportListQuery): Promise<readonly Inspection[]> {
    return this.#host.list(query);
  }

  reclaimComplete(): void {
    for (let shard = 0; shard < this.#host.shardCount; shard++) {
      if (this.#open(shard)) this.#host.submit(shard, { kind: 'reclaimComplete', ...this.#who });
    }
  }

  close(reason: 'goodbye' | 'lost'): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const shard of this.#opened) this.#host.submit(shard, { kind: 'closeSession', ...this.#who, reason });
    this.#host.closed(reason);
  }

  /** For the server: a reply of one of the shards. */
  deliver(reply: Reply): void {
    this.#listener.onReply(reply);
  }

  /** For the server: a hold of this session ended. */
  deliverLost(push: LostPush): void {
    this.#listener.onLost(push);
  }

  /** For the server: the shard has a new owner, in this process. A session that it knew before opens there first. */
  shardOwned(shard: number, epoch: number): void {
    if (this.#isClosed || !this.#opened.delete(shard)) return;
    this.#open(shard);
    this.#listener.onEpoch(shard, epoch);
  }

  get #who(): { readonly sessionId: number; readonly connection: number } {
    return { sessionId: this.#identity.id, connection: CONNECTION };
  }

  #operate(operation: Operation, frame: number): void {
    if (operation.op === 'acquire') this.#host.beforeAcquire(operation.key);
    const shard = this.#host.shardOf(operation.key);
    const known = this.#open(shard);
    if (!known || !this.#host.submit(shard, { kind: 'operation', ...this.#who, frame, operation })) {
      if (operation.op !== 'cancel') this.#refuse(operation.ref, 'noAuthority');
    }
  }

  #open(shard: number): boolean {
    if (this.#opened.has(shard)) return true;
    const { principal, slot } = this.#identity;
    const known = this.#host.submit(shard, { kind: 'openSession', ...this.#who, principal, slot, inProcess: true });
    if (known) this.#opened.add(shard);
    return known;
  }

  #refuse(ref: number, reason: string): void {
    this.#listener.onReply({
      kind: 'error',
      ref,
      code: 'UNAVAILABLE',
      details: { reason, retryAfterMs: RETRY_AFTER_MS },
    });
  }
}
