/**
 * The way of a production session to its owners: connections that break and are resumed, over the same links as the simulator's
 * own clients use. It is what a stream transport must be: nothing is sent before the owner has told its reigns, what cannot be
 * delivered is refused, and what was sent over a broken connection is asked again by the session once it hears of a reign.
 */
import { LockkeeperError } from '../../../src/api/codes.ts';
import type { Inspection, LostPush, Operation, Reply } from '../../../src/api/operations.ts';
import type { SessionListener, SessionTransport, TransportListQuery } from '../../../src/api/transport.ts';
import type { VirtualProcess } from '../../../src/system/virtual-process.ts';
import type { Chance } from '../chance.ts';
import { Link, type LinkEnd } from '../link.ts';
import { textOf } from '../operation-text.ts';
import type { Simulation } from '../simulation.ts';

const PING_EVERY_MS = 1_000;
/** Half the life of a member Lease: what comes later over such a connection is never read. */
const SILENT_AFTER_MS = 3_000;

export interface PodTransportOptions {
  readonly simulation: Simulation;
  readonly name: string;
  readonly principal: string;
  readonly process: VirtualProcess;
  readonly chance: Chance;
  readonly id: number;
  readonly slot: number;
  readonly listener: SessionListener;
}

export class PodTransport implements SessionTransport, LinkEnd {
  readonly #options: PodTransportOptions;
  readonly #lists = new Set<(error: LockkeeperError) => void>();
  #link: Link | undefined;
  #welcomed = false;
  #heardAtMs = 0;
  #connections = 0;
  #frame = 0;
  #closed = false;
  readonly newestAtOwner = new Map<number, number>();
  readonly supersededRefs = new Set<number>();

  constructor(options: PodTransportOptions) {
    this.#options = options;
    this.#connect();
  }

  get id(): number {
    return this.#options.id;
  }

  get slot(): number {
    return this.#options.slot;
  }

  get name(): string {
    return this.#options.name;
  }

  get principal(): string {
    return this.#options.principal;
  }

  get process(): VirtualProcess {
    return this.#options.process;
  }

  get link(): Link | undefined {
    return this.#link;
  }

  send(operations: readonly Operation[]): number {
    const { simulation, name, id, process, chance, listener } = this.#options;
    const frame = ++this.#frame;
    simulation.operationsSent += operations.length;
    for (const operation of operations) simulation.history.note(name, `s${id} f${frame} ${textOf(operation)}`);
    if (this.#link !== undefined && this.#welcomed) {
      simulation.checks.sent(operations);
      this.#link.send(frame, operations);
      return frame;
    }
    const details = { reason: 'unreachable', retryAfterMs: 300 };
    process.after(chance.between(1, 1_500), () => {
      for (const { op, ref } of operations)
        if (op !== 'cancel') listener.onReply({ kind: 'error', ref, code: 'UNAVAILABLE', details });
    });
    return frame;
  }

  list(query: TransportListQuery): Promise<readonly Inspection[]> {
    return new Promise((resolve, reject) => {
      if (this.#link === undefined) return reject(unreachable());
      this.#lists.add(reject);
      this.#link.list(query, (found) => {
        this.#lists.delete(reject);
        resolve(found);
      });
    });
  }

  reclaimComplete(shard: number, epoch: number): void {
    this.#link?.completeReclaim(shard, epoch);
  }

  close(reason: 'goodbye' | 'lost'): void {
    this.#closed = true;
    this.#link?.close(reason);
  }

  /** The process dies with everything in it. */
  processGone(): void {
    this.#closed = true;
    this.#link?.clientGone();
  }

  /** Gives the present connection up for another one, which supersedes it. */
  reconnect(): void {
    const link = this.#link;
    if (link === undefined) return;
    link.abandon();
    this.onLinkDown(link);
  }

  onWelcome(link: Link): void {
    if (link !== this.#link || this.#closed) return;
    this.#welcomed = true;
    this.#heard();
  }

  onEpoch(link: Link, shard: number, epoch: number): void {
    if (link !== this.#link || this.#closed) return;
    this.#heard();
    this.#options.listener.onEpoch(shard, epoch);
  }

  onReply(link: Link, reply: Reply): void {
    if (link !== this.#link || this.#closed) return;
    this.#heard();
    this.#options.listener.onReply(reply);
    // A replica that owns nothing answers so; another one may own.
    if (reply.kind === 'error' && reply.details['reason'] === 'noAuthority' && !link.owner.isReady) this.reconnect();
  }

  onLost(link: Link, push: LostPush): void {
    if (link !== this.#link || this.#closed) return;
    this.#heard();
    this.#options.simulation.coverage.hit('lostPush');
    this.#options.listener.onLost(push);
  }

  onLinkDown(link: Link): void {
    if (this.#link !== link || this.#closed) return;
    this.#link = undefined;
    this.#welcomed = false;
    for (const reject of this.#lists) reject(unreachable());
    this.#lists.clear();
    const { process, chance } = this.#options;
    process.after(chance.between(1, 400), () => this.#connect());
  }

  #heard(): void {
    this.#heardAtMs = this.#options.process.monotonicMs();
  }

  #connect(): void {
    if (this.#closed || this.#link !== undefined) return;
    const { simulation, chance, process, name, id } = this.#options;
    const owner = simulation.pickOwner(chance);
    if (owner === undefined) {
      process.after(chance.between(100, 800), () => this.#connect());
      return;
    }
    this.#connections++;
    if (this.#connections > 1) simulation.coverage.hit('connectionResumed');
    simulation.odd(name, 3_000);
    this.#heard();
    const link = new Link(simulation, this, owner, this.#connections);
    this.#link = link;
    simulation.history.note(name, `s${id} connects (${this.#connections}) to ${owner.name}`);
    this.#watch(link);
  }

  /** A connection without any sign of life is given up. */
  #watch(link: Link): void {
    const { process } = this.#options;
    process.after(PING_EVERY_MS, () => {
      if (this.#link !== link || this.#closed) return;
      if (process.monotonicMs() - this.#heardAtMs > SILENT_AFTER_MS) {
        this.reconnect();
        return;
      }
      link.ping((serves) => {
        if (this.#link !== link || this.#closed) return;
        this.#heard();
        // Another replica may own what this one does not.
        if (!serves) this.reconnect();
      });
      this.#watch(link);
    });
  }
}

function unreachable(): LockkeeperError {
  return new LockkeeperError('UNAVAILABLE', 'No owner can be reached.', { reason: 'unreachable' });
}
