/** Ends remembered; a grant that was overtaken by its end comes within moments of it. */
const REMEMBERED_MAX = 4_096;

/**
 * Tokens whose hold ended before a request that waits for its grant may have heard of it: a grant that comes after all is
 * void. The oldest is forgotten first.
 */
export class EndedTokens {
  readonly #ended = new Set<string>();

  add(key: string, token: number): void {
    this.#ended.add(nameOf(key, token));
    if (this.#ended.size <= REMEMBERED_MAX) return;
    const [oldest] = this.#ended;
    if (oldest !== undefined) this.#ended.delete(oldest);
  }

  has(key: string, token: number): boolean {
    return this.#ended.size > 0 && this.#ended.has(nameOf(key, token));
  }
}

function nameOf(key: string, token: number): string {
  return `${token} ${key}`;
}
