/**
 * A client's session: numbers its frames, counts deadlines from their sends, follows epochs, reclaims, resumes. It is what a
 * careful client must be, written anew from the rules and not from the product, so that the two check each other.
 */
import type { HoldReply, LostPush, Operation, Reply } from '../../src/api/operations.ts';
import type { Mark } from '../../src/system/clock.ts';
import type { VirtualProcess } from '../../src/system/virtual-process.ts';
import { ClientHold, deadlineOf } from './client-hold.ts';
import { Link, type LinkEnd } from './link.ts';
import { textOf } from './operation-text.ts';
import { whenDone } from './when-done.ts';
import type { SimClient } from './sim-client.ts';

export type Unsent = Operation extends infer Each ? (Each extends { ref: number } ? Omit<Each, 'ref'> : never) : never;

/** `gone`: nobody will ever tell. */
export type Answer = Exclude<Reply, { kind: 'queued' }> | { readonly kind: 'gone' };

export interface Ask {
  readonly operation: Unsent;
  /** Asking twice does no harm. */
  readonly repeatable: boolean;
  /** A hold in the answer is the asker's to use; other answers only tell of holds that are known already. */
  readonly enters: boolean;
  readonly askedAtMs: number;
  readonly refs: number[];
  sent: boolean;
  queuedAtMs: number | undefined;
  done: boolean;
  readonly resolve: (answer: Answer) => void;
}

const SILENT_AFTER_MS = 3_000;
const UNANSWERED_AFTER_MS = 8_000;

export class ClientSession implements LinkEnd {
  readonly client: SimClient;
  readonly process: VirtualProcess;
  readonly id: number;
  readonly slot: number;
  readonly holds = new Map<string, ClientHold>();
  /** Open requests by every number they were asked under. */
  readonly asks = new Map<number, Ask>();
  readonly #epochs = new Map<number, number>();
  readonly #sends: { readonly mark: Mark; readonly trueMs: number }[] = [];
  /** Shards with a new owner that has not been told everything yet. */
  readonly #changed = new Map<number, number>();
  /** Acquires that were given up with a connection; their owner may still have them in its queue. */
  #forsaken: { readonly key: string; readonly target: number }[] = [];
  readonly #acquiring = new Set<{ readonly key: string; readonly ownerId: string }>();
  /** Holds that were given back or lost. */
  readonly #given = new Set<string>();
  #connections = 0;
  #ref = 0;
  #lastSentMs = -Infinity;
  #link: Link | undefined;
  #welcomed = false;
  #beatTimer: Disposable | undefined;
  #watching = false;
  closed = false;
  readonly newestAtOwner = new Map<number, number>();
  readonly supersededRefs = new Set<number>();

  constructor(client: SimClient, id: number, slot: number) {
    this.client = client;
    this.process = client.process;
    this.id = id;
    this.slot = slot;
  }

  get name(): string {
    return this.client.name;
  }

  get principal(): string {
    return this.client.principal;
  }

  get link(): Link | undefined {
    return this.#link;
  }

  /** Opens the next connection, to an owner that seems ready. */
  connect(): void {
    if (this.closed || this.#link !== undefined) return;
    const { client } = this;
    const { simulation } = client;
    const owner = simulation.pickOwner(client.chance);
    if (owner === undefined) {
      client.process.after(client.chance.between(100, 800), () => this.connect());
      return;
    }
    this.#welcomed = false;
    this.#connections++;
    simulation.odd(client.name, 3_000);
    if (this.#connections > 1) simulation.coverage.hit('connectionResumed');
    const link = new Link(simulation, this, owner, this.#connections);
    this.#link = link;
    simulation.history.note(client.name, `s${this.id} connects (${this.#connections}) to ${owner.name}`);
    this.#watch();
  }

  /** Gives the present connection up for another one, which supersedes it. */
  reconnect(): void {
    const link = this.#link;
    if (link === undefined) return;
    link.abandon();
    this.onLinkDown(link);
  }

  /** Asks; `onAsk` marks an acquire whose hold the asker will use, and gets the open request. */
  ask(operation: Unsent, repeatable: boolean, onAsk?: (ask: Ask) => void): Promise<Answer> {
    return new Promise((resolve) => {
      const { client } = this;
      if (this.closed) return resolve({ kind: 'gone' });
      const askedAtMs = client.simulation.world.nowMs;
      const ask: Ask = {
        operation,
        repeatable,
        enters: onAsk !== undefined,
        askedAtMs,
        refs: [],
        sent: false,
        queuedAtMs: undefined,
        done: false,
        resolve,
      };
      this.#number(ask);
      onAsk?.(ask);
      if (this.#welcomed) this.#transmit([ask]);
      if (operation.op === 'acquire') this.#beat();
      this.#watch();
    });
  }

  /** Withdraws an acquire; a grant that comes all the same is given back. */
  withdraw(ask: Ask): void {
    if (ask.done) return;
    this.#settle(ask, { kind: 'gone' });
    const { key } = ask.operation;
    for (const target of ask.refs) this.#transmitOperations([{ op: 'cancel', ref: ++this.#ref, key, target }]);
  }

  /** Until the answer is disposed the owner may have an acquire that its lock's owner has granted and this client has not heard of. */
  acquiring(key: string, ownerId: string): Disposable {
    const acquiring = { key, ownerId };
    this.#acquiring.add(acquiring);
    return { [Symbol.dispose]: () => this.#acquiring.delete(acquiring) };
  }

  /** Whether an acquire of this owner is under way, whose answer may join the hold it has. */
  isAcquiring(key: string, ownerId: string): boolean {
    for (const acquiring of this.#acquiring) if (acquiring.key === key && acquiring.ownerId === ownerId) return true;
    for (const { operation } of this.asks.values())
      if (operation.op === 'acquire' && operation.key === key && operation.ownerId === ownerId) return true;
    return false;
  }

  /** Another session's hold: answers that speak of it are none of this one's business. */
  disregard(key: string, token: number): void {
    this.#given.add(`${key}#${token}`);
  }

  /** Ends one hold in the client's own books. */
  drop(hold: ClientHold): void {
    hold.ended = true;
    const id = `${hold.key}#${hold.token}`;
    this.holds.delete(id);
    this.#given.add(id);
  }

  goodbye(): void {
    if (this.closed) return;
    for (const hold of this.holds.values()) hold.ended = true;
    this.closed = true;
    if (this.#link !== undefined) this.#link.goodbye();
    this.#finish();
  }

  processGone(): void {
    for (const hold of this.holds.values()) hold.ended = true;
    this.closed = true;
    this.#link?.clientGone();
    this.asks.clear();
  }

  onLinkDown(link: Link): void {
    if (this.#link !== link || this.closed) return;
    this.#link = undefined;
    this.#welcomed = false;
    for (const ask of new Set(this.asks.values())) {
      if (!ask.sent) continue;
      if (ask.repeatable) ask.sent = false;
      else {
        const { op, key } = ask.operation;
        if (op === 'acquire') for (const target of ask.refs) this.#forsaken.push({ key, target });
        this.#settle(ask, { kind: 'gone' });
      }
    }
    this.client.process.after(this.client.chance.between(1, 400), () => this.connect());
  }

  onEpoch(link: Link, shard: number, epoch: number): void {
    if (link === this.#link && !this.closed) this.#learn(shard, epoch);
  }

  onLost(link: Link, push: LostPush): void {
    if (link !== this.#link || this.closed) return;
    this.client.simulation.coverage.hit('lostPush');
    if (push.epoch < (this.#epochs.get(this.#shardOf(push.key)) ?? 0)) return;
    const hold = this.holds.get(`${push.key}#${push.token}`);
    if (hold !== undefined) this.drop(hold);
  }

  onReply(link: Link, reply: Reply): void {
    if (link !== this.#link || this.closed) return;
    const ask = this.asks.get(reply.ref);
    if (reply.kind === 'queued') {
      if (ask !== undefined) ask.queuedAtMs ??= this.client.simulation.world.nowMs;
    } else if (reply.kind === 'hold') this.#onHold(reply, ask);
    else {
      if (ask !== undefined && ask.refs.at(-1) === reply.ref) this.#settle(ask, reply);
      // A replica that owns nothing answers so; another one may own.
      if (reply.kind === 'error' && reply.details['reason'] === 'noAuthority' && !link.owner.isReady) this.reconnect();
    }
  }

  onWelcome(link: Link): void {
    if (link !== this.#link || this.closed) return;
    this.#welcomed = true;
    this.#tellNewOwners();
    const cancels = this.#forsaken.map((forsaken) => ({ op: 'cancel', ref: ++this.#ref, ...forsaken }) as const);
    this.#forsaken = [];
    if (cancels.length > 0) this.#transmitOperations(cancels);
    const unsent = [...new Set(this.asks.values())].filter((ask) => !ask.sent);
    for (const ask of unsent) if (ask.refs.length > 0) this.#number(ask);
    if (unsent.length > 0) this.#transmit(unsent);
    this.#beat();
  }

  #onHold(reply: HoldReply, ask: Ask | undefined): void {
    const { client } = this;
    const { coverage, checks, history, world } = client.simulation;
    const shard = this.#shardOf(reply.key);
    if (reply.epoch < (this.#epochs.get(shard) ?? 0)) {
      coverage.hit('staleEpochDiscarded');
      return;
    }
    if (ask !== undefined) this.#forget(ask);
    this.#learn(shard, reply.epoch);
    const id = `${reply.key}#${reply.token}`;
    const send = this.#sends[reply.seen];
    const deadline =
      send === undefined
        ? { mark: client.mark(), trueMs: world.nowMs, validMs: -1 }
        : deadlineOf(send.mark, send.trueMs, reply.remainingMs);
    let hold = this.holds.get(id);
    if (ask !== undefined && !ask.enters && hold === undefined) {
      // It was given back while the answer was on its way.
      ask.done = true;
      ask.resolve({ kind: 'gone' });
      return;
    }
    if (ask === undefined && hold === undefined) {
      // A repetition that is under way may be answered with this very hold.
      if (this.#given.has(id) || this.isAcquiring(reply.key, reply.ownerId)) return;
      this.#given.add(id);
      coverage.hit('strayGrantDisowned');
      const { key, token, ownerId } = reply;
      this.#transmitOperations([{ op: 'release', ref: ++this.#ref, key, token, ownerId, disowned: true }]);
      return;
    }
    const wasBelieved = hold?.isBelieved ?? false;
    if (hold === undefined) {
      hold = new ClientHold(client, reply, deadline);
      this.holds.set(id, hold);
    } else hold.acknowledge(reply, deadline);
    history.note(client.name, `told ${id} ${reply.ownerId} depth ${reply.depth} left ${hold.leftMs.toFixed(0)}`);
    checks.clientTold(hold, reply, ask?.operation.op === 'acquire' ? ask.askedAtMs : undefined, wasBelieved);
    if (ask !== undefined) {
      ask.done = true;
      ask.resolve(reply);
    }
  }

  /** A new owner of a shard is known. */
  #learn(shard: number, epoch: number): void {
    if (epoch <= (this.#epochs.get(shard) ?? 0)) return;
    this.#epochs.set(shard, epoch);
    this.#changed.set(shard, epoch);
    if (this.#welcomed) this.#tellNewOwners();
  }

  /** First the holds, then what was asked and not answered, then that this was all. */
  #tellNewOwners(): void {
    const changed = [...this.#changed];
    this.#changed.clear();
    for (const [shard, epoch] of changed) {
      for (const hold of this.holds.values()) {
        if (this.#shardOf(hold.key) === shard && hold.epoch < epoch && hold.isBelieved) this.#reclaim(hold);
      }
      const open = [...new Set(this.asks.values())].filter(
        (ask) => ask.sent && this.#shardOf(ask.operation.key) === shard && ask.operation.op !== 'reclaim',
      );
      for (const ask of open) {
        if (!ask.repeatable) this.#settle(ask, { kind: 'gone' });
        else {
          this.#number(ask);
          this.#transmit([ask]);
        }
      }
      this.#link?.completeReclaim(shard, epoch);
    }
  }

  #reclaim(hold: ClientHold): void {
    const { coverage } = this.client.simulation;
    coverage.hit('reclaimSent');
    const { key, token, ownerId, mode } = hold;
    // What was promised last may be less than what is still relied on.
    const ttlMs = Math.max(hold.ttlMs, Math.ceil(hold.leftMs));
    // A release that only says "one less" is still to come: it is not yet deducted.
    let toCome = 0;
    for (const { operation } of this.asks.values())
      if (operation.op === 'release' && operation.token === token && operation.leaveDepth === undefined) toCome++;
    const depth = Math.max(1, hold.depth + toCome);
    whenDone(this.ask({ op: 'reclaim', key, token, ownerId, mode, depth, ttlMs }, false), (answer) => {
      if (answer.kind === 'hold') coverage.hit('reclaimConfirmed');
      else if (answer.kind === 'error' && answer.code === 'NOT_HELD') this.drop(hold);
    });
  }

  #number(ask: Ask): void {
    const ref = ++this.#ref;
    ask.refs.push(ref);
    this.asks.set(ref, ask);
  }

  #transmit(asks: readonly Ask[]): void {
    for (const ask of asks) ask.sent = true;
    this.#transmitOperations(asks.map((ask) => ({ ...ask.operation, ref: ask.refs.at(-1) }) as Operation));
  }

  #transmitOperations(operations: readonly Operation[]): void {
    const link = this.#link;
    if (link === undefined || !this.#welcomed) return;
    const { client } = this;
    const frame = Math.max(1, this.#sends.length);
    this.#sends[frame] = { mark: client.mark(), trueMs: client.simulation.world.nowMs };
    this.#lastSentMs = client.process.monotonicMs();
    client.simulation.operationsSent += operations.length;
    for (const operation of operations)
      client.simulation.history.note(client.name, `s${this.id} f${frame} ${textOf(operation)}`);
    client.simulation.checks.sent(operations);
    link.send(frame, operations);
  }

  #forget(ask: Ask): void {
    for (const ref of ask.refs) this.asks.delete(ref);
  }

  #settle(ask: Ask, answer: Answer): void {
    this.#forget(ask);
    ask.done = true;
    ask.resolve(answer);
  }

  #finish(): void {
    const open = new Set(this.asks.values());
    this.asks.clear();
    for (const ask of open) ask.resolve({ kind: 'gone' });
  }

  /** Tells the owners that this session is there, as long as it waits. */
  #beat(): void {
    if (this.closed) return;
    let periodMs = Number.POSITIVE_INFINITY;
    for (const { operation } of this.asks.values())
      if (operation.op === 'acquire') periodMs = Math.min(periodMs, 1_000, (operation.ttlMs ?? 4_000) / 10);
    this.#beatTimer?.[Symbol.dispose]();
    if (periodMs === Number.POSITIVE_INFINITY) return;
    const { process } = this.client;
    const restMs = this.#lastSentMs + periodMs - process.monotonicMs();
    this.#beatTimer = process.after(this.#welcomed ? Math.max(1, restMs) : periodMs, () => {
      if (process.monotonicMs() - this.#lastSentMs >= periodMs - 0.001) this.#transmitOperations([]);
      this.#beat();
    });
  }

  /** A connection on which nothing is read, or nothing answered, is given up. */
  #watch(): void {
    if (this.#watching || this.closed) return;
    this.#watching = true;
    const { process, simulation } = this.client;
    process.after(1_000, () => {
      this.#watching = false;
      if (this.closed) return;
      const link = this.#link;
      const { nowMs } = simulation.world;
      let late = link !== undefined && process.monotonicMs() - link.unreadSinceMs > SILENT_AFTER_MS;
      for (const { operation, askedAtMs } of this.asks.values())
        if (operation.op !== 'acquire' && nowMs - askedAtMs > UNANSWERED_AFTER_MS) late = true;
      if (late) this.reconnect();
      if (this.asks.size > 0 || this.holds.size > 0 || link === undefined) this.#watch();
    });
  }

  #shardOf(key: string): number {
    return this.client.simulation.shardOf(key);
  }
}
