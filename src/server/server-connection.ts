import type { LostPush, Operation, Reply } from '../api/operations.ts';
import type { SessionListener } from '../api/transport.ts';
import type { Command } from '../engine/commands.ts';

/** What a connection needs of its server. */
export interface ConnectionHost {
  readonly shardCount: number;
  shardOf(key: string): number;
  /** False if this process does not own the shard now. */
  submit(shard: number, command: Command): boolean;
  /** Epoch of this process's reign over the shard; `undefined` if it does not own it now. */
  epochOf(shard: number): number | undefined;
  /** The owner's monotonic clock. */
  nowMs(): number;
  /** Whether this is still its session's newest connection. */
  isCurrent(connection: ServerConnection): boolean;
  closed(connection: ServerConnection, reason: 'goodbye' | 'lost'): void;
}

/** One connection of one session. */
export interface ConnectionIdentity {
  readonly id: number;
  /** Authenticated identity: the pod's UID, or `local`. The same for all connections of a session. */
  readonly principal: string;
  /** The session's slot; -1 if there are more sessions than slots. */
  readonly slot: number;
  /** Grows with every connection of the session. */
  readonly connection: number;
  /** In the owner's own process: never silent, nothing is ever on its way. */
  readonly inProcess: boolean;
}

const RETRY_AFTER_MS = 500;
/** A frame for one shard is news of the session for all others, told at most this often: a fraction of the shortest silence. */
const HEARD_EVERY_MS = 50;

/**
 * A session's connection as the server sees it: frames in, replies out. Frames are numbered over the whole session and never
 * anew for a connection, so that the number in a reply names one send, whichever connection carries the reply.
 */
export class ServerConnection {
  readonly #identity: ConnectionIdentity;
  readonly #listener: SessionListener;
  readonly #host: ConnectionHost;
  /** Shards whose engine knows the session. */
  readonly #opened = new Set<number>();
  #heardAtMs = Number.NEGATIVE_INFINITY;
  #isClosed = false;

  constructor(identity: ConnectionIdentity, listener: SessionListener, host: ConnectionHost) {
    this.#identity = identity;
    this.#listener = listener;
    this.#host = host;
  }

  get identity(): ConnectionIdentity {
    return this.#identity;
  }

  /** Takes the place of the session's earlier connection at once, in every shard: its later frames are dropped unread. */
  supersede(earlier: ServerConnection): void {
    for (const shard of earlier.#opened) this.#open(shard);
    earlier.#isClosed = true;
  }

  /** Tells a session from elsewhere of every reign here. It declares its holds to those it does not know yet. */
  announce(): void {
    for (let shard = 0; shard < this.#host.shardCount; shard++) {
      const epoch = this.#host.epochOf(shard);
      if (epoch !== undefined) this.#listener.onEpoch(shard, epoch);
    }
  }

  /** A frame came. One without operations is a heartbeat. */
  receive(frame: number, operations: readonly Operation[]): void {
    if (this.#isClosed && this.#host.isCurrent(this)) {
      for (const { ref } of operations) this.#refuse(ref, 'shuttingDown');
      return;
    }
    const nowMs = this.#host.nowMs();
    if (operations.length === 0 || nowMs - this.#heardAtMs >= HEARD_EVERY_MS) {
      this.#heardAtMs = nowMs;
      for (const shard of this.#opened) this.#host.submit(shard, { kind: 'heard', ...this.#who, frame });
    }
    for (const operation of operations) this.#operate(operation, frame);
  }

  /** The session has declared all its holds of this shard to this reign. */
  reclaimComplete(shard: number, epoch: number): void {
    if (this.#host.epochOf(shard) !== epoch) return;
    if (this.#open(shard)) this.#host.submit(shard, { kind: 'reclaimComplete', ...this.#who });
  }

  close(reason: 'goodbye' | 'lost'): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const shard of this.#opened) this.#host.submit(shard, { kind: 'closeSession', ...this.#who, reason });
    this.#host.closed(this, reason);
  }

  /** A reply of one of the shards. */
  deliver(reply: Reply): void {
    this.#listener.onReply(reply);
  }

  /** A hold of this session ended. */
  deliverLost(push: LostPush): void {
    this.#listener.onLost(push);
  }

  /** The shard has a new owner, in this process. A session that it knew before opens there first. */
  shardOwned(shard: number, epoch: number): void {
    if (this.#isClosed) return;
    const known = this.#opened.delete(shard);
    if (known) this.#open(shard);
    // A session from elsewhere may have holds here from an owner that this process knows nothing of.
    if (known || !this.#identity.inProcess) this.#listener.onEpoch(shard, epoch);
  }

  get #who(): { readonly sessionId: number; readonly connection: number } {
    return { sessionId: this.#identity.id, connection: this.#identity.connection };
  }

  #operate(operation: Operation, frame: number): void {
    const shard = this.#host.shardOf(operation.key);
    const known = this.#open(shard);
    if (!known || !this.#host.submit(shard, { kind: 'operation', ...this.#who, frame, operation })) {
      if (operation.op !== 'cancel') this.#refuse(operation.ref, 'noAuthority');
    }
  }

  #open(shard: number): boolean {
    if (this.#opened.has(shard)) return true;
    // A superseded connection opens nothing: its frames reach only engines that know that it is superseded.
    if (this.#isClosed) return false;
    const { principal, slot, inProcess } = this.#identity;
    const known = this.#host.submit(shard, { kind: 'openSession', ...this.#who, principal, slot, inProcess });
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
