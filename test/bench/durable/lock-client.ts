/** The lock API over HTTP, with as little work of the client's own as possible. */
import { Pool } from 'undici';

export class LockClient implements AsyncDisposable {
  readonly #pool: Pool;
  readonly #namespace: string;

  constructor(origin: string, namespace: string, connections: number) {
    this.#pool = new Pool(origin, { connections, pipelining: 1, headersTimeout: 0, bodyTimeout: 0 });
    this.#namespace = namespace;
  }

  /** Answers that said to try again: the operator was not sure of its authority, as on a machine that is busy with other things. */
  unavailable = 0;

  /** Gives the token. @throws Error unless it is granted. */
  async acquire(lock: string, timeoutMs: number, ttlMs = 30_000): Promise<string> {
    const { fencingToken } = await this.#post(`${lock}:acquire`, { timeoutMs, ttlMs });
    return fencingToken as string;
  }

  async release(lock: string, fencingToken: string): Promise<void> {
    await this.#post(`${lock}:release`, { fencingToken });
  }

  async #post(path: string, body: object): Promise<Record<string, unknown>> {
    const { statusCode, body: answer } = await this.#pool.request({
      method: 'POST',
      path: `/v1/locks/${path}`,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ namespace: this.#namespace, ...body }),
    });
    const value = (await answer.json()) as Record<string, unknown>;
    if (statusCode === 503) {
      this.unavailable += 1;
      await new Promise((resolve) => setTimeout(resolve, 100));
      return this.#post(path, body);
    }
    if (statusCode !== 200) throw new Error(`${path} was answered ${statusCode}: ${JSON.stringify(value)}`);
    return value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.destroy();
  }
}
