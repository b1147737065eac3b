import type { HoldReply, Inspection, Operation, Reply } from '../../src/api/operations.ts';
import type { SessionListener, SessionTransport, TransportListQuery } from '../../src/api/transport.ts';

type Kind = Operation['op'];
type OperationOf<K extends Kind> = Extract<Operation, { op: K }>;

/** A transport that answers nothing by itself: a test reads what was sent and says what comes back. */
export class ScriptedTransport implements SessionTransport {
  /** Frames as sent; the number of a frame is its index + 1. */
  readonly frames: (readonly Operation[])[] = [];
  /** `reclaimComplete` calls, each as the number of frames sent before it. */
  readonly completions: number[] = [];
  /** Shard and epoch of each of them. */
  readonly completed: (readonly [number, number])[] = [];
  readonly listQueries: TransportListQuery[] = [];
  listAnswer: () => Promise<readonly Inspection[]> = () => Promise.resolve([]);
  closedAs: 'goodbye' | 'lost' | undefined = undefined;
  /** Called within `send`, as an in-memory transport answers. */
  onFrame: ((operations: readonly Operation[], frame: number) => void) | undefined = undefined;
  #listener: SessionListener | undefined = undefined;

  /** Pass it as `openTransport`. */
  readonly open = (listener: SessionListener): SessionTransport => {
    this.#listener = listener;
    return this;
  };

  get listener(): SessionListener {
    if (this.#listener === undefined) throw new Error('nobody opened this transport');
    return this.#listener;
  }

  send(operations: readonly Operation[]): number {
    const frame = this.frames.push(operations);
    this.onFrame?.(operations, frame);
    return frame;
  }

  list(query: TransportListQuery): Promise<readonly Inspection[]> {
    this.listQueries.push(query);
    return this.listAnswer();
  }

  reclaimComplete(shard: number, epoch: number): void {
    this.completions.push(this.frames.length);
    this.completed.push([shard, epoch]);
  }

  close(reason: 'goodbye' | 'lost'): void {
    this.closedAs = reason;
  }

  /** Every operation of this kind, in the order sent. */
  sent<K extends Kind>(op: K): OperationOf<K>[] {
    return this.frames.flat().filter((operation): operation is OperationOf<K> => operation.op === op);
  }

  /** The newest operation of this kind. */
  last<K extends Kind>(op: K): OperationOf<K> {
    const found = this.sent(op).at(-1);
    if (found === undefined) throw new Error(`no ${op} was sent`);
    return found;
  }

  /** Frames sent so far that had nothing in them. */
  get heartbeats(): number {
    return this.frames.filter((operations) => operations.length === 0).length;
  }

  reply(reply: Reply): void {
    this.listener.onReply(reply);
  }

  refuse(ref: number, code: Extract<Reply, { kind: 'error' }>['code'], details: Record<string, unknown> = {}): void {
    this.reply({ kind: 'error', ref, code, details });
  }

  queued(ref: number, position = 1): void {
    this.reply({ kind: 'queued', ref, position });
  }

  released(ref: number, depth = 0): void {
    this.reply({ kind: 'released', ref, depth });
  }

  /** Answers an acquire, renew or reclaim with a hold; what is not given comes from the operation or a default. */
  hold(operation: Operation, more: Partial<HoldReply> = {}): HoldReply {
    const reply = { ...this.#holdFor(operation, more), ...more };
    this.reply(reply);
    return reply;
  }

  #holdFor(operation: Operation, more: Partial<HoldReply>): HoldReply {
    const asked = operation as Partial<Omit<OperationOf<'reclaim'>, 'op'>>;
    const ttlMs = more.ttlMs ?? asked.ttlMs ?? 15_000;
    return {
      kind: 'hold',
      ref: operation.ref,
      key: operation.key,
      ownerId: asked.ownerId ?? 'somebody',
      mode: asked.mode ?? 'exclusive',
      token: asked.token ?? 1,
      depth: asked.depth ?? 1,
      ttlMs,
      remainingMs: ttlMs,
      seen: this.frames.length,
      epoch: 1,
      metadata: asked.metadata,
    };
  }
}
