/** Many clients of the lock API in this process, each in a loop of its own, until they are told to stop. */
import { randomUUID } from 'node:crypto';
import { type Random, seededRandom } from '../../../src/system/random.ts';
import type { ApiClient } from './api-client.ts';
import { type Call, type HoldCall, isHoldCall } from './history.ts';
import { drawTurn, type PlannedLock, type Turn } from './fleet-plan.ts';

export interface FleetOptions {
  readonly api: ApiClient;
  readonly locks: readonly PlannedLock[];
  readonly clients: number;
  readonly seed: number;
}

/** Waits of a client between two tries while nobody answers: twice as long each time, and a part of it by chance. */
const RETRY_MS_MIN = 50;
const RETRY_MS_MAX = 2_000;

export class Fleet {
  readonly #options: FleetOptions;
  readonly #runs: Promise<void>[];
  readonly #stop = new AbortController();

  /** Starts at once. */
  constructor(options: FleetOptions) {
    this.#options = options;
    this.#runs = Array.from({ length: options.clients }, (_, index) => this.#run(index));
  }

  /** Every client ends its turn; resolves when all have: what they waited for has ended, what they held is given back. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#runs);
  }

  async #run(index: number): Promise<void> {
    // Each client draws from a sequence of its own, so that the order of their turns changes nobody's plan.
    const random = seededRandom(this.#options.seed * 1_000 + index);
    const client = new FleetClient(`client-${index}`, this.#options.api, random, this.#stop.signal);
    await client.pause(random.integer(200));
    while (!this.#stop.signal.aborted) await client.take(drawTurn(random, this.#options.locks));
  }
}

class FleetClient {
  readonly #name: string;
  readonly #api: ApiClient;
  readonly #random: Random;
  readonly #stop: AbortSignal;
  #turns = 0;
  #retryMs = RETRY_MS_MIN;

  constructor(name: string, api: ApiClient, random: Random, stop: AbortSignal) {
    this.#name = name;
    this.#api = api;
    this.#random = random;
    this.#stop = stop;
  }

  async take(turn: Turn): Promise<void> {
    this.#turns += 1;
    const ownerId = `${this.#name}.${this.#turns}`;
    const granted = await this.#acquire(turn, ownerId);
    if (granted !== undefined) await this.#work(turn, granted);
    await this.pause(turn.restMs);
  }

  /** A pause of the load; the end of the run ends it. */
  pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      if (this.#stop.aborted) return resolve();
      const done = () => {
        clearTimeout(timer);
        this.#stop.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.#stop.addEventListener('abort', done);
    });
  }

  async #acquire({ lock, mode, ttlMs, timeoutMs, repeats }: Turn, ownerId: string): Promise<HoldCall | undefined> {
    const giveUpMs = performance.now() + timeoutMs;
    let askedMs: number | undefined;
    const fields = { mode, ttlMs, requestId: randomUUID() };
    for (;;) {
      const leftMs = Math.max(0, Math.floor(giveUpMs - performance.now()));
      const call = await this.#api.call({
        ...{ client: this.#name, lock: lock.name, verb: 'acquire', ownerId, fields },
        timeoutMs: leftMs,
        askedMs,
      });
      if (!isUnanswered(call)) this.#retryMs = RETRY_MS_MIN;
      if (isHoldCall(call)) return call;
      askedMs ??= call.sentMs;
      if (!repeats || leftMs === 0 || !isUnanswered(call)) return undefined;
      await this.#backOff();
    }
  }

  async #work({ lock, work, holdForMs, ttlMs, lengthens }: Turn, granted: HoldCall): Promise<void> {
    const { token } = granted.answer;
    const request = { client: this.#name, lock: lock.name, ownerId: granted.ownerId, token };
    const workUntilMs = performance.now() + holdForMs;
    let deadlineMs = granted.sentMs + granted.answer.validForMs;
    if (work === 'forgetful') return this.#until(deadlineMs);
    if (work === 'brief') await this.#until(Math.min(workUntilMs, deadlineMs));
    let askedTtlMs = ttlMs;
    const renewUntilMs = work === 'brief' ? 0 : workUntilMs;
    while (!this.#stop.aborted && performance.now() < Math.min(renewUntilMs, deadlineMs)) {
      await this.#until(Math.min(workUntilMs, performance.now() + ttlMs / 3, deadlineMs));
      askedTtlMs += lengthens ? 500 : 0;
      const renewal = await this.#api.call({ ...request, verb: 'renew', fields: { ttlMs: askedTtlMs } });
      if (isHoldCall(renewal)) deadlineMs = Math.max(deadlineMs, renewal.sentMs + renewal.answer.validForMs);
      else if (isUnanswered(renewal)) await this.#backOff();
      else return;
    }
    do {
      const released = await this.#api.call({ ...request, verb: 'release' });
      // What an owner only knows from the record of another runs out; it is given back by the session that made it, or never.
      if (!isUnanswered(released) || isUnclaimed(released)) return;
      await this.#backOff();
    } while (performance.now() < deadlineMs);
  }

  #backOff(): Promise<void> {
    const waitMs = this.#retryMs / 2 + this.#random.integer(this.#retryMs / 2);
    this.#retryMs = Math.min(RETRY_MS_MAX, this.#retryMs * 2);
    return new Promise((resolve) => setTimeout(resolve, waitMs));
  }

  async #until(ms: number): Promise<void> {
    const leftMs = ms - performance.now();
    if (leftMs > 0) await this.pause(leftMs);
  }
}

/** Whether the same request may have another answer soon. */
function isUnanswered({ answer }: Call): boolean {
  return (
    answer.kind === 'none' || (answer.kind === 'refused' && ['UNAVAILABLE', 'OUTCOME_UNKNOWN'].includes(answer.code))
  );
}

function isUnclaimed({ answer }: Call): boolean {
  return answer.kind === 'refused' && answer.reason === 'unclaimed';
}
