/** One use of a lock, from its acquire to its end, as an application would write it. */
import type { ErrorCode } from '../../src/api/codes.ts';
import type { HoldReply } from '../../src/api/operations.ts';
import type { ClientHold } from './client-hold.ts';
import type { Answer, Ask, ClientSession, Unsent } from './client-session.ts';
import type { SimulatedPath } from './coverage.ts';
import type { Activity } from './plan.ts';
import type { SimClient } from './sim-client.ts';

const RETRIES_MAX = 6;

export const REFUSED: Readonly<Partial<Record<ErrorCode, SimulatedPath>>> = {
  NOT_HELD: 'notHeldAnswer',
  ACQUIRE_TIMEOUT: 'acquireTimeout',
  LOCK_HELD: 'lockHeld',
  QUEUE_FULL: 'queueFull',
  LOCK_NOT_FOUND: 'lockNotFound',
  DEADLOCK: 'deadlockBroken',
  OUTCOME_UNKNOWN: 'outcomeUnknownAnswer',
  UNAVAILABLE: 'unavailableAnswer',
};

export async function runActivity(client: SimClient, activity: Activity): Promise<void> {
  const session = client.session;
  if (session === undefined || session.closed) return;
  const flow = new Flow(client, session, activity);
  const { flows } = client.simulation;
  flows.add(flow);
  await flow.run();
  flows.delete(flow);
}

/** A use that is under way. */
export interface OpenUse {
  readonly label: string;
  /** Words that pick the events worth showing. */
  readonly about: readonly string[];
  readonly isAbandoned: boolean;
}

export class Flow implements OpenUse {
  readonly client: SimClient;
  readonly session: ClientSession;
  readonly activity: Activity;

  constructor(client: SimClient, session: ClientSession, activity: Activity) {
    this.client = client;
    this.session = session;
    this.activity = activity;
  }

  get label(): string {
    return `${this.client.name} ${this.activity.ownerId} ${this.activity.key}`;
  }

  get about(): readonly string[] {
    return [this.activity.key, this.activity.ownerId];
  }

  /** Its session is gone, and it will never end. */
  get isAbandoned(): boolean {
    return this.session.closed;
  }

  async run(): Promise<void> {
    const { activity, client, session } = this;
    const requestId = activity.named ? `r${activity.id}` : undefined;
    const hold = await this.#acquire(activity.key, requestId);
    if (hold === undefined) return;
    const { coverage } = client.simulation;
    for (let entry = 0; entry < activity.reentries && hold.isBelieved; entry++) {
      const again = await this.#acquire(activity.key, `r${activity.id}.${entry}`);
      if (again === hold) coverage.hit('reentered');
      else if (again !== undefined) await this.#release(again);
      await client.sleep(client.chance.between(1, 300));
      if (again === hold && client.chance.happens(0.6)) await this.#release(hold);
    }
    if (activity.nestedKey !== undefined && hold.isBelieved) await this.#nested(activity.nestedKey, hold);
    await this.#keep(hold, activity.holdForMs);
    if (activity.end === 'abandon' || session.closed) return;
    if (activity.end === 'upgrade' && hold.mode === 'shared' && hold.isBelieved) await this.#upgrade();
    while (hold.depth > 0 && !hold.ended) await this.#release(hold);
    if (activity.end === 'releaseTwice') await this.#releaseAgain(hold);
  }

  /** Takes a lock; tries again where the answer says that it may help. */
  async #acquire(key: string, requestId: string | undefined): Promise<ClientHold | undefined> {
    const { activity, client, session } = this;
    const operation: Unsent = {
      op: 'acquire',
      key,
      ownerId: activity.ownerId,
      mode: activity.mode,
      ttlMs: activity.ttlMs,
      timeoutMs: activity.timeoutMs,
      priority: activity.priority,
      maxHoldMs: activity.maxHoldMs > 0 ? activity.maxHoldMs : undefined,
      requestId,
      metadata: undefined,
    };
    const state = { withdrawn: false };
    using _ = session.acquiring(key, activity.ownerId);
    for (let attempt = 0; attempt < RETRIES_MAX && !session.closed && !state.withdrawn; attempt++) {
      const answer = await session.ask(operation, requestId !== undefined, (ask) => {
        if (attempt === 0) this.#disturb(ask, operation, () => (state.withdrawn = true));
      });
      if (answer.kind === 'hold') return this.#entered(answer);
      const retry = this.#noteRefusal(answer);
      if (!retry || requestId === undefined) return undefined;
      await client.sleep(client.chance.between(100, 900));
    }
    return undefined;
  }

  /** Repeats the request while it waits, or withdraws it. */
  #disturb(ask: Ask, operation: Unsent, onWithdrawn: () => void): void {
    const { activity, client, session } = this;
    const { coverage } = client.simulation;
    if (activity.named && activity.repeatAfterMs > 0) {
      client.process.after(activity.repeatAfterMs, () => {
        if (session.closed || ask.done) return;
        coverage.hit('requestRepeated');
        void session.ask(operation, true);
      });
    }
    const giveUpMs = activity.cancelAfterMs > 0 ? activity.cancelAfterMs : 60_000;
    client.process.after(giveUpMs, () => {
      if (session.closed || ask.done) return;
      if (activity.cancelAfterMs > 0) coverage.hit('cancelled');
      onWithdrawn();
      session.withdraw(ask);
    });
  }

  async #entered(reply: HoldReply): Promise<ClientHold | undefined> {
    const { client, session } = this;
    const { coverage } = client.simulation;
    const hold = session.holds.get(`${reply.key}#${reply.token}`);
    if (hold === undefined) return undefined;
    hold.depth++;
    if (hold.leftMs > 0) return hold;
    // On its way for longer than it is worth: a renewal tells whether it lives.
    coverage.hit('deadOnArrival');
    await this.#renew(hold, hold.ttlMs);
    return hold.ended ? undefined : hold;
  }

  /** Holds on, renewing as planned. */
  async #keep(hold: ClientHold, forMs: number): Promise<void> {
    const { activity, client, session } = this;
    let leftMs = forMs;
    while (leftMs > 0 && !hold.ended && !session.closed) {
      if (client.simulation.isCalm && leftMs > 3_000) leftMs = 3_000;
      const napMs = Math.min(leftMs, activity.renewEveryMs);
      await client.sleep(napMs);
      leftMs -= napMs;
      if (leftMs > 0 && !hold.ended) await this.#renew(hold, activity.renewTtlMs);
    }
  }

  async #renew(hold: ClientHold, ttlMs: number): Promise<void> {
    const { session, client } = this;
    const { coverage } = client.simulation;
    if (hold.leftMs <= 0) coverage.hit('renewedLate');
    if (ttlMs < hold.ttlMs) coverage.hit('renewedShorter');
    if (ttlMs > hold.ttlMs) coverage.hit('renewedLonger');
    const { key, token, ownerId } = hold;
    const answer = await session.ask({ op: 'renew', key, token, ownerId, ttlMs }, true);
    if (answer.kind === 'error' && answer.code === 'NOT_HELD') session.drop(hold);
    if (answer.kind !== 'hold') this.#noteRefusal(answer);
  }

  /** Gives one depth back. At the last one the client stops believing before it says so. */
  async #release(hold: ClientHold): Promise<void> {
    const { session, client, activity } = this;
    if (hold.ended || session.closed) return;
    const leaveDepth = Math.max(0, hold.depth - 1);
    hold.depth = leaveDepth;
    const { key, token, ownerId } = hold;
    if (leaveDepth === 0) session.drop(hold);
    // While another flow of this owner may be joining, only the lock's owner knows the depth: one less, and no repetition.
    // Some clients always do it so.
    const joining = session.isAcquiring(key, ownerId) || activity.id % 4 === 0;
    const answer = await session.ask(
      { op: 'release', key, token, ownerId, leaveDepth: joining ? undefined : leaveDepth },
      !joining,
    );
    if (answer.kind === 'released' && answer.depth === 0) client.simulation.checks.released(hold);
  }

  async #releaseAgain(hold: ClientHold): Promise<void> {
    const { key, token, ownerId } = hold;
    // Another flow of this owner has joined, or is about to: the release would be its.
    if (this.session.holds.has(`${key}#${token}`) || this.session.isAcquiring(key, ownerId)) return;
    const answer = await this.session.ask({ op: 'release', key, token, ownerId }, false);
    if (answer.kind === 'error') this.#noteRefusal(answer);
  }

  async #nested(key: string, outer: ClientHold): Promise<void> {
    const { activity } = this;
    const renewing = this.#renewWhile(outer);
    const inner = await this.#acquire(key, activity.named ? `r${activity.id}.n` : undefined);
    if (inner !== undefined && inner !== outer) {
      await this.#keep(inner, Math.min(activity.holdForMs, 1_500));
      while (inner.depth > 0 && !inner.ended) await this.#release(inner);
    }
    renewing.stop = true;
  }

  #renewWhile(hold: ClientHold): { stop: boolean } {
    const state = { stop: false };
    const { client, session, activity } = this;
    const turn = async () => {
      while (!state.stop && !hold.ended && !session.closed) {
        await client.sleep(activity.ttlMs / 3);
        if (!state.stop && !hold.ended) await this.#renew(hold, activity.ttlMs);
      }
    };
    void turn();
    return state;
  }

  async #upgrade(): Promise<void> {
    const { activity, session } = this;
    const { key, ownerId, ttlMs } = activity;
    const operation: Unsent = { op: 'acquire', key, ownerId, mode: 'exclusive', ttlMs, timeoutMs: 0 };
    const answer = await session.ask(operation, false, () => {});
    if (answer.kind === 'hold') {
      const hold = session.holds.get(`${key}#${answer.token}`);
      if (hold !== undefined) {
        hold.depth++;
        await this.#release(hold);
      }
    } else if (answer.kind === 'error' && answer.code === 'DEADLOCK') {
      this.client.simulation.coverage.hit('deadlockUpgrade');
    }
  }

  /** Counts the answer; true if asking again may help. */
  #noteRefusal(answer: Answer): boolean {
    const { coverage } = this.client.simulation;
    if (answer.kind !== 'error') return answer.kind === 'gone';
    const isUpgrade = answer.code === 'DEADLOCK' && answer.details['reason'] === 'upgrade';
    const path = isUpgrade ? 'deadlockUpgrade' : REFUSED[answer.code];
    if (path !== undefined) coverage.hit(path);
    return answer.code === 'OUTCOME_UNKNOWN' || answer.code === 'UNAVAILABLE';
  }
}
