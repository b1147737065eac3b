/** A watch as plain HTTP, for tests that must not go through the client under test. */
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import type { Access } from './http.ts';

export interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  // biome-ignore lint: a test reads whatever is there
  readonly object: any;
}

export class PlainWatch implements Disposable {
  readonly #answer: IncomingMessage;
  readonly #events: WatchEvent[] = [];
  /** Set once nothing more comes: the failure, or undefined for an end in order. */
  #end: { readonly failure: Error | undefined } | undefined;
  #wake: () => void = () => {};

  private constructor(answer: IncomingMessage) {
    this.#answer = answer;
    let rest = '';
    answer.setEncoding('utf8');
    answer.on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) this.#events.push(JSON.parse(line) as WatchEvent);
      this.#wake();
    });
    const end = (failure?: Error) => {
      this.#end ??= { failure };
      this.#wake();
    };
    answer.on('end', () => end());
    answer.on('error', end);
  }

  /** Resolves once the server has accepted the watch. `path` has its query, all but `watch`. */
  static open({ server, authority, certificate, key, token }: Access, path: string): Promise<PlainWatch> {
    const url = new URL(path, server);
    url.searchParams.set('watch', 'true');
    return new Promise((resolve, reject) => {
      const outgoing = request(url, {
        ca: authority,
        ...(certificate === undefined ? {} : { cert: certificate, key }),
        agent: false,
        headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      });
      outgoing.on('error', reject);
      outgoing.on('response', (answer) => resolve(new PlainWatch(answer)));
      outgoing.end();
    });
  }

  /** The next event; undefined once the stream has ended in order. @throws Error once the connection has broken. */
  async next(): Promise<WatchEvent | undefined> {
    for (;;) {
      const event = this.#events.shift();
      if (event !== undefined) return event;
      if (this.#end?.failure) throw this.#end.failure;
      if (this.#end) return undefined;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  [Symbol.dispose](): void {
    this.#answer.destroy();
  }
}
