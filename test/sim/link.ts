/** A connection between a client and an owner: keeps order, delays, and may be cut at either end at any moment. */
import type { Inspection, LostPush, Operation, Reply } from '../../src/api/operations.ts';
import type { TransportListQuery } from '../../src/api/transport.ts';
import type { ServerConnection } from '../../src/server/server-connection.ts';
import type { VirtualProcess } from '../../src/system/virtual-process.ts';
import type { Chance } from './chance.ts';
import type { Owner } from './owner.ts';
import type { Simulation } from './simulation.ts';
import { whenDone } from './when-done.ts';

/** The client's end of a connection: one session, over all its connections. */
export interface LinkEnd {
  readonly id: number;
  readonly slot: number;
  readonly name: string;
  readonly principal: string;
  readonly process: VirtualProcess;
  /** For the checkers: the newest connection that each owner accepted, and requests that came to it later over an older one. */
  readonly newestAtOwner: Map<number, number>;
  readonly supersededRefs: Set<number>;
  /** The owner has told all it has to tell to a new connection. */
  onWelcome(link: Link): void;
  onEpoch(link: Link, shard: number, epoch: number): void;
  onReply(link: Link, reply: Reply): void;
  onLost(link: Link, push: LostPush): void;
  onLinkDown(link: Link): void;
}

export class Link {
  readonly owner: Owner;
  readonly number: number;
  readonly #simulation: Simulation;
  readonly #session: LinkEnd;
  readonly #chance: Chance;
  readonly #client: VirtualProcess;
  #server: ServerConnection | undefined;
  #isUp = true;
  /** Nothing on its way arrives any more, towards that end. */
  #deafServer = false;
  #deafClient = false;
  #toServerDueMs = 0;
  #toClientDueMs = 0;
  /** Frames sent and frames that the owner has read: how a client notices that nobody is there. */
  sentCount = 0;
  readCount = 0;
  readonly #unreadSinceMs: number[] = [];

  constructor(simulation: Simulation, session: LinkEnd, owner: Owner, number: number) {
    this.#simulation = simulation;
    this.#session = session;
    this.owner = owner;
    this.number = number;
    this.#client = session.process;
    this.#chance = simulation.chance(`link${session.id}.${number}`);
    const { id, principal, slot } = session;
    this.#toServer(() => {
      const { server } = owner;
      if (server === undefined) return;
      const reigns: (readonly [number, number])[] = [];
      let announcing = true;
      this.#server = server.connectRemote(
        { id, principal, slot, connection: number },
        {
          onReply: (reply) => this.#replied(reply),
          onLost: (push) => this.#pushed(push),
          onEpoch: (shard, epoch) => {
            if (announcing) reigns.push([shard, epoch]);
            else this.#toClient(() => session.onEpoch(this, shard, epoch));
          },
        },
      );
      announcing = false;
      if (this.#server === undefined) {
        this.cut();
        return;
      }
      session.newestAtOwner.set(owner.number, number);
      // Broken before it was accepted: the owner notices that too.
      if (!this.#isUp) owner.process.after(this.#chance.skewed(0, 12_000), () => this.#server?.close('lost'));
      // All reigns in one piece: what is asked next goes to owners that the session knows.
      this.#toClient(() => {
        for (const [shard, epoch] of reigns) session.onEpoch(this, shard, epoch);
        session.onWelcome(this);
      });
    });
  }

  /** Sends one frame; it may be read late, or never. */
  send(frame: number, operations: readonly Operation[]): void {
    this.#toServer(() => {
      // Its owner knows a newer connection: this frame must go unread.
      if (this.#server !== undefined && (this.#session.newestAtOwner.get(this.owner.number) ?? 0) > this.number)
        for (const { ref } of operations) this.#session.supersededRefs.add(ref);
      this.#server?.receive(frame, operations);
    });
  }

  completeReclaim(shard: number, epoch: number): void {
    this.#toServer(() => this.#server?.reclaimComplete(shard, epoch));
  }

  goodbye(): void {
    this.close('goodbye');
  }

  /** The client closes the connection in good order. */
  close(reason: 'goodbye' | 'lost'): void {
    this.#toServer(() => this.#server?.close(reason));
    this.#isUp = false;
  }

  /** Asks for a sign of life, and whether the replica owns anything. */
  ping(onPong: (serves: boolean) => void): void {
    this.#toServer(() => {
      const serves = this.owner.server?.notReadyReason() === undefined;
      this.#toClient(() => onPong(serves));
    });
  }

  /** `onAnswer` never hears anything if the connection breaks first. */
  list(query: TransportListQuery, onAnswer: (found: readonly Inspection[]) => void): void {
    this.#toServer(() => {
      const { server } = this.owner;
      if (server !== undefined) whenDone(server.list(query), (found) => this.#toClient(() => onAnswer(found)));
    });
  }

  /** The connection breaks: each end notices in its own time, and what is on its way may still arrive. */
  cut(): void {
    if (!this.#isUp) return;
    this.#isUp = false;
    if (this.#chance.happens(0.5)) this.#deafServer = true;
    if (this.#chance.happens(0.5)) this.#deafClient = true;
    this.#client.after(this.#chance.skewed(0, 3_000), () => this.#session.onLinkDown(this));
    this.owner.process.after(this.#chance.skewed(0, 12_000), () => this.#server?.close('lost'));
  }

  /** The client gives it up for a new one: it reads nothing more here, but what it sent may still arrive. */
  abandon(): void {
    this.#deafClient = true;
    if (!this.#isUp) return;
    this.#isUp = false;
    this.owner.process.after(this.#chance.skewed(0, 12_000), () => this.#server?.close('lost'));
  }

  /** The client's process is gone: the kernel closes the connection. */
  clientGone(): void {
    this.#deafClient = true;
    this.#isUp = false;
    this.owner.process.after(this.#chance.skewed(0, 10_000), () => this.#server?.close('lost'));
  }

  /** The owner's process is gone. */
  ownerGone(): void {
    this.#server = undefined;
    this.#client.after(this.#chance.skewed(0, 2_000), () => this.#session.onLinkDown(this));
  }

  /** Holds back whatever the owner sends next, and all that comes after it. */
  stall(forMs: number): void {
    this.#simulation.coverage.hit('frameDelayedLong');
    this.#toClientDueMs = Math.max(this.#toClientDueMs, this.#client.monotonicMs() + forMs);
  }

  /** Since when the oldest unread frame waits, by the client's clock; Infinity if all were read. */
  get unreadSinceMs(): number {
    return this.#unreadSinceMs[0] ?? Number.POSITIVE_INFINITY;
  }

  #replied(reply: Reply): void {
    this.#simulation.checks.replyLeaves(this.owner, this.#session, reply);
    this.#toClient(() => this.#session.onReply(this, reply));
  }

  #pushed(push: LostPush): void {
    this.#simulation.checks.lossLeaves(push);
    this.#toClient(() => this.#session.onLost(this, push));
  }

  #delayMs(): number {
    if (!this.#simulation.isCalm && this.#chance.happens(0.002)) {
      this.#simulation.coverage.hit('frameDelayedLong');
      this.#simulation.odd(this.#session.name, 9_000);
      return this.#chance.between(500, 9_000);
    }
    if (this.#chance.happens(0.005)) {
      this.#simulation.odd(this.#session.name, 500);
      return this.#chance.between(60, 500);
    }
    return this.#chance.happens(0.03) ? this.#chance.between(3, 50) : this.#chance.between(0.1, 3);
  }

  #toServer(run: () => void): void {
    this.sentCount++;
    this.#unreadSinceMs.push(this.#client.monotonicMs());
    const { process } = this.owner;
    this.#toServerDueMs = Math.max(this.#toServerDueMs, process.monotonicMs() + this.#delayMs());
    process.after(this.#toServerDueMs - process.monotonicMs(), () => {
      if (this.#deafServer) return;
      this.readCount++;
      this.#unreadSinceMs.shift();
      run();
    });
  }

  #toClient(run: () => void): void {
    const client = this.#client;
    this.#toClientDueMs = Math.max(this.#toClientDueMs, client.monotonicMs() + this.#delayMs());
    client.after(this.#toClientDueMs - client.monotonicMs(), () => {
      if (!this.#deafClient) run();
    });
  }
}
