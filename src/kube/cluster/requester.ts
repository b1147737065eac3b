import type { IncomingHttpHeaders } from 'node:http';
import type { Clock } from '../../system/clock.ts';
import { onAbort } from '../../system/disposables.ts';
import type { Random } from '../../system/random.ts';
import { type Timers, sleep } from '../../system/timers.ts';
import { backoffMs } from '../backoff.ts';
import { StoreError } from '../lease-store.ts';
import type { ApiRequest, Connections } from './connections.ts';
import type { Exchange } from './exchange.ts';
import { type CallFacts, type NoAnswer, refused, unanswered, unreadable } from './outcome.ts';
import type { RateLimit } from './rate-limit.ts';

export interface RequesterOptions {
  readonly connections: Pick<Connections, 'send' | 'answers' | 'retire' | 'closed'>;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  /** Undefined: unlimited. */
  readonly rateLimit: RateLimit | undefined;
  /** A write without an answer for this long has an unknown outcome. */
  readonly writeTimeoutMs: number;
  /** A read is given up after this, with all its attempts. A single attempt takes at most a third of it. */
  readonly readTimeoutMs: number;
}

/** One call of the API. */
export interface Call extends CallFacts {
  readonly request: ApiRequest;
  readonly signal?: AbortSignal | undefined;
  /** Of a read, in place of `readTimeoutMs`. */
  readonly timeoutMs?: number | undefined;
}

export interface Answer {
  readonly httpStatus: number;
  readonly value: unknown;
  /** Of the body. */
  readonly bytes: number;
}

const RETRY = { firstMs: 50, maxMs: 1_000 };
/** A read tries so often within its time, at least: one dead connection must not cost all of it. */
const READ_ATTEMPTS = 3;
const READ_ATTEMPT_MS_MIN = 500;
/** Of one answer: an API server's object has 1.5 MiB at most, a page of a list many of them. */
const ANSWER_BYTES_MAX = 32 * 1024 * 1024;
/** Requests that were sent, or wait for a connection. */
const IN_FLIGHT_MAX = 5_000;

/** An answer that was larger than allowed. */
export class AnswerTooLarge extends StoreError {}

/** Calls of an API server within bounds of time and rate. A failure is a `StoreError` that says what is known of the outcome. */
export class Requester {
  readonly #options: RequesterOptions;
  #inFlight = 0;

  constructor(options: RequesterOptions) {
    this.#options = options;
  }

  /** Once: what became of a write must be known before there is another. */
  write(call: Call): Promise<Answer> {
    return this.#attempt(call, this.#options.writeTimeoutMs, this.#options.writeTimeoutMs);
  }

  /** Again, after a growing and jittered pause, while it can succeed and there is time. */
  async read(call: Call): Promise<Answer> {
    const { clock, timers, random } = this.#options;
    const { timeoutMs = this.#options.readTimeoutMs } = call;
    const deadlineMs = clock.monotonicMs() + timeoutMs;
    const attemptMs = Math.max(READ_ATTEMPT_MS_MIN, timeoutMs / READ_ATTEMPTS);
    for (let failures = 1; ; failures++) {
      const restMs = deadlineMs - clock.monotonicMs();
      try {
        return await this.#attempt(call, Math.min(attemptMs, restMs), restMs);
      } catch (error) {
        if (!(error instanceof StoreError) || !error.retryable || call.signal?.aborted) throw error;
        const pauseMs = Math.max(backoffMs(failures, RETRY, random), error.retryAfterMs ?? 0);
        if (clock.monotonicMs() + pauseMs >= deadlineMs) throw error;
        await sleep(timers, pauseMs, call.signal).catch(() => undefined);
        if (call.signal?.aborted) throw unanswered(call, 'aborted', false, call.signal.reason);
      }
    }
  }

  async #attempt(call: Call, timeoutMs: number, turnWithinMs: number): Promise<Answer> {
    const { rateLimit, clock } = this.#options;
    if (call.signal?.aborted) throw unanswered(call, 'aborted', false, call.signal.reason);
    let restMs = timeoutMs;
    if (rateLimit !== undefined) {
      const startedMs = clock.monotonicMs();
      const turn = await rateLimit.take(turnWithinMs, call.signal);
      if (turn === 'aborted') throw unanswered(call, 'aborted', false, call.signal?.reason);
      if (turn !== 'turn') throw unanswered(call, 'overload', false);
      restMs = Math.min(timeoutMs, turnWithinMs - (clock.monotonicMs() - startedMs));
    }
    if (this.#inFlight >= IN_FLIGHT_MAX) throw unanswered(call, 'overload', false);
    this.#inFlight++;
    try {
      return await this.#exchange(call, restMs);
    } finally {
      this.#inFlight--;
    }
  }

  #exchange(call: Call, timeoutMs: number): Promise<Answer> {
    const { connections, timers } = this.#options;
    if (connections.closed) return Promise.reject(unanswered(call, 'closed', false));
    return new Promise((resolve, reject) => {
      let exchange: Exchange | undefined;
      let over = false;
      let status = 0;
      let headers: IncomingHttpHeaders = {};
      let bytes = 0;
      const chunks: Buffer[] = [];
      const { answers } = connections;

      const finish = () => {
        over = true;
        timer[Symbol.dispose]();
        listener?.[Symbol.dispose]();
      };
      const fail = (why: NoAnswer, sent: boolean, cause?: unknown) => {
        if (over) return;
        finish();
        exchange?.abort();
        // In all that time nothing came on any connection: do not trust the others either.
        if (why === 'timeout' && exchange !== undefined && connections.answers === answers) connections.retire();
        const error = unanswered(call, connections.closed ? 'closed' : why, sent, cause);
        reject(why === 'tooLarge' ? new AnswerTooLarge(error.outcome, error.message, { retryable: false }) : error);
      };
      const timer = timers.after(timeoutMs, () => fail('timeout', exchange?.sent ?? false));
      const listener =
        call.signal && onAbort(call.signal, () => fail('aborted', exchange?.sent ?? false, call.signal?.reason));

      connections
        .send(call.request, {
          onHead: (code, fields) => {
            status = code;
            headers = fields;
          },
          onData: (chunk) => {
            bytes += chunk.length;
            if (bytes > ANSWER_BYTES_MAX) fail('tooLarge', true);
            else chunks.push(chunk);
          },
          onEnd: () => {
            if (over) return;
            finish();
            const body = (chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)).toString('utf8');
            if (status < 200 || status > 299) {
              const retryAfter = headers['retry-after'];
              reject(refused(call, { httpStatus: status, body, retryAfter }));
              return;
            }
            try {
              resolve({ httpStatus: status, value: JSON.parse(body), bytes });
            } catch (error) {
              reject(unreadable(call, status, error));
            }
          },
          onFailure: (error, sent) => fail('connection', sent, error),
        })
        .then((started) => {
          exchange = started;
          if (over) started.abort();
          return started;
        })
        .catch((error: unknown) => fail(connections.closed ? 'closed' : 'credentials', false, error));
    });
  }
}
