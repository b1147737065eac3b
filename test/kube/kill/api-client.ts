/** HTTP calls of the lock API with exact times, over kept connections: what an application's own client would do. */
import { Pool } from 'undici';
import type { ErrorBody } from '../../../src/api/codes.ts';
import type { Hold as HoldBody } from '../../../src/api/responses.ts';
import type { Call, CallAnswer, History, Verb } from './history.ts';

/** A call that goes on for this long after its timeout is given up, and judged. */
const GIVEN_UP_AFTER_MS = 45_000;

export interface Request {
  readonly client: string;
  readonly lock: string;
  readonly verb: Verb;
  readonly ownerId: string;
  readonly token?: number;
  readonly timeoutMs?: number;
  /** When the same request was first sent, if this is a repetition. */
  readonly askedMs?: number | undefined;
  /** What goes into the body besides. */
  readonly fields?: Readonly<Record<string, unknown>>;
}

export class ApiClient implements AsyncDisposable {
  readonly #pool: Pool;
  readonly #namespace: string;
  readonly #history: History;

  /** `origin`: `http://127.0.0.1:PORT`. Whoever listens there may come and go. */
  constructor(origin: string, namespace: string, history: History, connections = 400) {
    this.#pool = new Pool(origin, { connections, pipelining: 1, headersTimeout: 0, bodyTimeout: 0 });
    this.#namespace = namespace;
    this.#history = history;
  }

  /** Adds the call to the history. Never rejects. */
  async call(request: Request): Promise<Call> {
    const { client, lock, verb, ownerId, token, timeoutMs = 0, askedMs, fields } = request;
    const body = {
      namespace: this.#namespace,
      ownerId,
      ...fields,
      ...(token === undefined ? {} : { fencingToken: String(token) }),
      ...(verb === 'acquire' ? { timeoutMs } : {}),
    };
    const sentMs = performance.now();
    const answer = await this.#send(`/v1/locks/${lock}:${verb}`, body, timeoutMs + GIVEN_UP_AFTER_MS);
    const times = { timeoutMs, askedMs: askedMs ?? sentMs, sentMs, endedMs: performance.now() };
    const call = { client, lock, verb, ownerId, token, ...times, answer };
    this.#history.add(call);
    return call;
  }

  async #send(path: string, body: object, giveUpMs: number): Promise<CallAnswer> {
    const abort = new AbortController();
    const giveUp = setTimeout(() => abort.abort(), giveUpMs);
    try {
      const response = await this.#pool.request({
        path,
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
        signal: abort.signal,
      });
      return answerOf(response.statusCode, await response.body.json());
    } catch (error) {
      return { kind: 'none', why: error instanceof Error ? error.message : String(error) };
    } finally {
      clearTimeout(giveUp);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.destroy();
  }
}

function answerOf(status: number, body: unknown): CallAnswer {
  if (status !== 200) {
    const { code, message, details } = body as ErrorBody;
    return { kind: 'refused', code, message, reason: details['reason'] as string | undefined };
  }
  if ('released' in (body as object)) return { kind: 'released' };
  const { fencingToken, mode, validForMs } = body as HoldBody;
  return { kind: 'hold', token: Number(fencingToken), mode, validForMs };
}
