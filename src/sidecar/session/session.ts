import type { HoldReply, LostPush } from '../../api/operations.ts';
import type { SessionListener, SessionTransport } from '../../api/transport.ts';
import { type Clock, ProgressMeter } from '../../system/clock.ts';
import type { Random } from '../../system/random.ts';
import type { Timers } from '../../system/timers.ts';
import { EndedTokens } from './ended-tokens.ts';
import { notHeld, shuttingDown } from './failures.ts';
import { Heartbeat } from './heartbeat.ts';
import { HoldTable } from './hold-table.ts';
import { OwnerLanes } from './owner-lanes.ts';
import type { OwnHold } from './own-hold.ts';
import { Reclaimer } from './reclaimer.ts';
import { Releaser } from './releaser.ts';
import { RenewalRequest, type RenewalTerms } from './renewal-request.ts';
import { Renewer } from './renewer.ts';
import { SessionClient } from './session-client.ts';
import type { SessionCore } from './session-core.ts';

export interface SessionOptions {
  readonly openTransport: (listener: SessionListener) => SessionTransport;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  /** Saved holds are to be restored: until then no owner hears that everything is declared. */
  readonly awaitsSaved: boolean;
  /** Shards of the installation. Default 32. */
  readonly shardCount?: number | undefined;
}

/** The parts of one session, put together. */
export class Session implements SessionCore {
  readonly clock: Clock;
  readonly meter: ProgressMeter;
  readonly timers: Timers;
  readonly random: Random;
  readonly client: SessionClient;
  readonly table: HoldTable;
  readonly lanes = new OwnerLanes();
  readonly endedTokens = new EndedTokens();
  readonly heartbeat: Heartbeat;
  readonly renewer: Renewer;
  readonly releaser: Releaser;
  readonly reclaimer: Reclaimer;
  readonly #requestPrefix: string;
  #requestCount = 0;
  #strays: HoldReply[] = [];
  #strayTurn: Disposable | undefined = undefined;

  constructor({ openTransport, clock, timers, random, awaitsSaved, shardCount }: SessionOptions) {
    this.clock = clock;
    this.meter = new ProgressMeter(clock);
    this.timers = timers;
    this.random = random;
    this.#requestPrefix = `${random.uuid().slice(0, 13)}-`;
    this.client = new SessionClient({
      openTransport,
      clock,
      timers,
      observer: {
        onStray: (reply) => this.#onStray(reply),
        onLost: (push) => this.#onLost(push),
        onOwnersChanged: (shards) => this.reclaimer.onOwnersChanged(shards),
      },
      shardCount,
    });
    this.table = new HoldTable(this.meter, timers, (key) => this.client.shardOf(key));
    this.heartbeat = new Heartbeat(timers, this.client);
    this.renewer = new Renewer(this);
    this.releaser = new Releaser(this);
    this.reclaimer = new Reclaimer(this, awaitsSaved);
  }

  /** Unique over the life of the session, also if this process is not its first. */
  nextRequestId(): string {
    this.#requestCount++;
    return this.#requestPrefix + this.#requestCount.toString(36);
  }

  renew(terms: RenewalTerms): Promise<OwnHold> {
    const hold = this.table.find(terms.key, terms.token);
    if (hold !== undefined) this.reclaimer.hurry(hold);
    return new Promise((resolve, reject) => {
      this.client.ask(new RenewalRequest(this, terms, { onRenewed: resolve, onFailed: reject }));
    });
  }

  /** Ends it: nothing is kept alive any more, whatever is under way fails. `goodbye` gives every hold back. */
  close(reason: 'goodbye' | 'lost'): void {
    if (this.client.closed) return;
    this.#settleStrays();
    this.client.close(reason);
    this.renewer.close(shuttingDown());
    this.heartbeat.close();
    this.reclaimer.close();
    this.table.close();
  }

  /** A late renewal still counts. Any other hold that nobody asked for (any more) is given back, unless it finds its owner. */
  #onStray(reply: HoldReply): void {
    const hold = this.table.find(reply.key, reply.token);
    if (hold !== undefined) {
      hold.acknowledge(this.meter, reply, this.client.deadlineOf(reply));
      return;
    }
    this.#strays.push(reply);
    this.#strayTurn ??= this.timers.soon(() => this.#settleStrays());
  }

  /** In a later turn: the same grant may also answer another request, whose reply came in the same frame. */
  #settleStrays(): void {
    this.#strayTurn?.[Symbol.dispose]();
    this.#strayTurn = undefined;
    const strays = this.#strays;
    this.#strays = [];
    for (const reply of strays)
      if (this.table.find(reply.key, reply.token) === undefined)
        this.releaser.disown(reply, this.client.deadlineOf(reply));
  }

  #onLost({ key, token, reason }: LostPush): void {
    this.endedTokens.add(key, token);
    const hold = this.table.find(key, token);
    if (hold !== undefined) this.table.end(hold, notHeld(key, token, reason));
  }
}
