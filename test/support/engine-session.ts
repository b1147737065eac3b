import type { ErrorCode } from '../../src/api/codes.ts';
import type { AcquireOperation, HoldReply, Operation, Reply } from '../../src/api/operations.ts';
import type { CloseSessionCommand, Command } from '../../src/engine/commands.ts';

/** Operations without what the session fills in. */
type Unsent = Operation extends infer One ? (One extends Operation ? Omit<One, 'ref'> : never) : never;

export type AcquireOptions = Partial<Omit<AcquireOperation, 'op' | 'ref' | 'key'>>;

/** A client's session: sends operations and keeps what was answered to each. */
export class TestSession {
  readonly id: number;
  readonly name: string;
  readonly principal: string;
  readonly slot: number;
  /** Replies to no request of this session. */
  readonly strays: Reply[] = [];
  connection = 0;
  frame = 0;
  readonly #world: { apply(command: Command): void };
  readonly #inProcess: boolean;
  readonly #asks = new Map<number, Ask>();
  #ref = 0;

  constructor(
    world: { apply(command: Command): void },
    id: number,
    name: string,
    identity: { readonly principal: string; readonly slot: number; readonly inProcess: boolean },
  ) {
    this.#world = world;
    this.id = id;
    this.name = name;
    this.principal = identity.principal;
    this.slot = identity.slot;
    this.#inProcess = identity.inProcess;
  }

  /** A first connection, or one that supersedes the last. */
  connects(): void {
    this.connection++;
    const { id, connection, principal, slot } = this;
    this.#world.apply({
      kind: 'openSession',
      sessionId: id,
      connection,
      principal,
      slot,
      inProcess: this.#inProcess,
    });
  }

  /** A try-lock. */
  tries(lockId: string, options: AcquireOptions = {}): Ask {
    const acquire = { ownerId: this.name, mode: 'exclusive', timeoutMs: 0, ...options } as const;
    return this.sends({ op: 'acquire', key: `ns/${lockId}`, ...acquire });
  }

  /** An acquire that blocks until granted, or as long as `timeoutMs` says. */
  waits(lockId: string, options: AcquireOptions = {}): Ask {
    return this.tries(lockId, { timeoutMs: -1, ...options });
  }

  renews(held: Ask, ttlMs?: number): Ask {
    return this.sends({ op: 'renew', key: held.key, token: held.token, ttlMs });
  }

  releases(held: Ask, options: { readonly leaveDepth?: number; readonly disowned?: boolean } = {}): Ask {
    return this.sends({ op: 'release', key: held.key, token: held.token, ...options });
  }

  cancels(asked: Ask): void {
    this.sends({ op: 'cancel', key: asked.key, target: asked.ref });
  }

  forces(lockId: string, reason = 'stuck'): Ask {
    return this.sends({ op: 'forceRelease', key: `ns/${lockId}`, reason, by: 'admin' });
  }

  reclaims(
    held: Ask,
    options: { readonly depth?: number; readonly token?: number; readonly ttlMs?: number } = {},
  ): Ask {
    const { key, token, ownerId, mode, depth, ttlMs } = held.hold;
    return this.sends({ op: 'reclaim', key, token, ownerId, mode, depth, ttlMs, ...options });
  }

  completesReclaim(): void {
    this.#world.apply({ kind: 'reclaimComplete', sessionId: this.id, connection: this.connection });
  }

  /** A heartbeat. */
  isHeard(): void {
    const { id, connection } = this;
    this.#world.apply({ kind: 'heard', sessionId: id, connection, frame: ++this.frame });
  }

  closes(reason: CloseSessionCommand['reason']): void {
    this.#world.apply({ kind: 'closeSession', sessionId: this.id, connection: this.connection, reason });
  }

  /** Sends an operation, over the present connection or an older one. */
  sends(operation: Unsent, connection = this.connection): Ask {
    const ref = ++this.#ref;
    const sent = { ...operation, ref } as Operation;
    const ask = new Ask(ref, sent.key);
    this.#asks.set(ref, ask);
    const frame = ++this.frame;
    this.#world.apply({ kind: 'operation', sessionId: this.id, connection, frame, operation: sent });
    return ask;
  }

  receives(reply: Reply): void {
    const ask = this.#asks.get(reply.ref);
    if (ask === undefined) this.strays.push(reply);
    else ask.replies.push(reply);
  }
}

/** A request and what was answered to it. */
export class Ask {
  readonly ref: number;
  readonly key: string;
  readonly replies: Reply[] = [];

  constructor(ref: number, key: string) {
    this.ref = ref;
    this.key = key;
  }

  /** The final answer; `undefined` while it waits. Throws if there were several. */
  get answer(): Exclude<Reply, { kind: 'queued' }> | undefined {
    const finals = this.replies.filter((reply) => reply.kind !== 'queued');
    if (finals.length > 1) throw new Error(`answered ${finals.length} times: ${JSON.stringify(finals)}`);
    return finals[0];
  }

  get isWaiting(): boolean {
    return this.answer === undefined;
  }

  get isGranted(): boolean {
    return this.answer?.kind === 'hold';
  }

  get hold(): HoldReply {
    const { answer } = this;
    if (answer?.kind !== 'hold') throw new Error(`not granted: ${JSON.stringify(answer)}`);
    return answer;
  }

  get token(): number {
    return this.hold.token;
  }

  get depth(): number {
    const { answer } = this;
    if (answer?.kind !== 'hold' && answer?.kind !== 'released') throw new Error(`no depth: ${JSON.stringify(answer)}`);
    return answer.depth;
  }

  /** Code of the refusal; `undefined` if there was none. */
  get code(): ErrorCode | undefined {
    return this.answer?.kind === 'error' ? this.answer.code : undefined;
  }

  get details(): Readonly<Record<string, unknown>> {
    if (this.answer?.kind !== 'error') throw new Error(`not refused: ${JSON.stringify(this.answer)}`);
    return this.answer.details;
  }
}
