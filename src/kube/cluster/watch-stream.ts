import type { IncomingHttpHeaders } from 'node:http';
import type { Clock } from '../../system/clock.ts';
import { onAbort } from '../../system/disposables.ts';
import type { Timers } from '../../system/timers.ts';
import type { Connections } from './connections.ts';
import type { Exchange } from './exchange.ts';
import { LineSplitter } from './line-splitter.ts';
import { refused, retryAfterOf } from './outcome.ts';

export interface WatchStreamOptions {
  readonly connections: Connections;
  readonly path: string;
  /** As in `watch leases`. */
  readonly what: string;
  readonly clock: Clock;
  readonly timers: Timers;
  /** Nothing, not even a bookmark, for this long: the connection is taken for dead. */
  readonly idleMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Hears every event but errors: its type, and the object as the server sent it. Never inside `open`. */
  readonly onEvent: (type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK', object: WatchedObject) => void;
  /** Hears once that nothing more comes; not after disposal. */
  readonly onEnd: (end: WatchEnd) => void;
}

export interface WatchedObject {
  readonly metadata: { readonly resourceVersion: string };
}

export interface WatchEnd {
  readonly code: 'expired' | 'ended';
  readonly message: string;
  readonly retryAfterMs?: number | undefined;
}

/** The server answers at once if it is well. */
const OPEN_TIMEOUT_MS = 15_000;
/** Twice what an object in etcd can have; the event around it and escaped characters need room. */
const LINE_BYTES_MAX = 4 * 1024 * 1024;
/** Read in one turn of the event loop; the rest waits for the next one. */
const TURN_BYTES = 128 * 1024;
/** Of the body of a refusal. */
const REFUSAL_BYTES_MAX = 64 * 1024;

/**
 * One watch over one connection: a line of JSON for each event. It ends by disposal (the socket is closed at once), by the
 * caller's signal, or with `onEnd`: `ended` only if the server itself said that it is over.
 */
export class WatchStream implements Disposable {
  readonly #options: WatchStreamOptions;
  readonly #lines = new LineSplitter(LINE_BYTES_MAX);
  readonly #refusal: Buffer[] = [];
  #refusalBytes = 0;
  #exchange: Exchange | undefined;
  #over = false;
  #status = 0;
  #headers: IncomingHttpHeaders = {};
  #heardAtMs: number;
  #turnBytes = 0;
  #turn: Disposable | undefined;
  #watchdog: Disposable;
  readonly #abortListener: Disposable | undefined;

  private constructor(options: WatchStreamOptions) {
    this.#options = options;
    const { clock, timers, signal } = options;
    this.#heardAtMs = clock.monotonicMs();
    this.#watchdog = timers.after(OPEN_TIMEOUT_MS, () => this.#suspect('no answer in time'));
    this.#abortListener = signal && onAbort(signal, () => this[Symbol.dispose]());
  }

  static open(options: WatchStreamOptions): WatchStream {
    const stream = new WatchStream(options);
    void stream.#open();
    return stream;
  }

  [Symbol.dispose](): void {
    if (this.#over) return;
    this.#over = true;
    this.#watchdog[Symbol.dispose]();
    this.#turn?.[Symbol.dispose]();
    this.#abortListener?.[Symbol.dispose]();
    this.#exchange?.abort();
  }

  async #open(): Promise<void> {
    const { connections, path } = this.#options;
    // Never inside the call that asked for it.
    await Promise.resolve();
    if (this.#over) return;
    try {
      this.#exchange = await connections.send(
        { method: 'GET', path },
        {
          onHead: (status, headers) => this.#head(status, headers),
          onData: (chunk) => this.#data(chunk),
          onEnd: () => this.#ended(),
          onFailure: (error) => this.#broke(`the connection failed: ${error.message}`),
        },
      );
      if (this.#over) this.#exchange.abort();
    } catch (error) {
      this.#end('ended', error instanceof Error ? error.message : String(error));
    }
  }

  #head(status: number, headers: IncomingHttpHeaders): void {
    const { clock, timers, idleMs } = this.#options;
    if (this.#over) return;
    this.#status = status;
    this.#headers = headers;
    this.#heardAtMs = clock.monotonicMs();
    this.#watchdog[Symbol.dispose]();
    this.#watchdog = timers.after(idleMs, () => this.#checkIdle());
  }

  #data(chunk: Buffer): void {
    if (this.#over) return;
    this.#heardAtMs = this.#options.clock.monotonicMs();
    if (this.#status !== 200) {
      this.#refusalBytes += chunk.length;
      if (this.#refusalBytes <= REFUSAL_BYTES_MAX) this.#refusal.push(chunk);
      return;
    }
    try {
      for (const line of this.#lines.split(chunk)) {
        this.#event(line);
        if (this.#over) return;
      }
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      this.#broke(`what the server sent cannot be read: ${message}`);
      return;
    }
    this.#yieldTurn(chunk.length);
  }

  /** After a long burst everybody else gets a turn first. */
  #yieldTurn(bytes: number): void {
    this.#turnBytes += bytes;
    if (this.#turn === undefined) {
      this.#turn = this.#options.timers.soon(() => {
        this.#turn = undefined;
        this.#turnBytes = 0;
        this.#exchange?.resume();
      });
    }
    if (this.#turnBytes >= TURN_BYTES) this.#exchange?.pause();
  }

  #event(line: string): void {
    const { type, object } = JSON.parse(line) as { readonly type?: unknown; readonly object?: WatchedObject };
    if (type === 'ERROR') {
      const { code, message } = (object ?? {}) as { readonly code?: number; readonly message?: string };
      this.#end(code === 410 ? 'expired' : 'ended', `${message ?? 'no reason given'} (${code ?? 'no code'})`);
      return;
    }
    if (type !== 'ADDED' && type !== 'MODIFIED' && type !== 'DELETED' && type !== 'BOOKMARK') {
      this.#end('ended', `an event of the unknown type ${JSON.stringify(type)}`);
      return;
    }
    if (typeof object?.metadata?.resourceVersion !== 'string') throw new Error('an event without a version');
    this.#options.onEvent(type, object);
  }

  #ended(): void {
    if (this.#over) return;
    if (this.#status === 200) {
      this.#end('ended', 'the server ended the watch');
      return;
    }
    const body = Buffer.concat(this.#refusal).toString('utf8');
    const retryAfter = this.#headers['retry-after'];
    const { message } = refused({ write: false, what: this.#options.what }, { httpStatus: this.#status, body });
    this.#end(this.#status === 410 ? 'expired' : 'ended', message, retryAfterOf(retryAfter));
  }

  #checkIdle(): void {
    const { clock, timers, idleMs } = this.#options;
    const restMs = this.#heardAtMs + idleMs - clock.monotonicMs();
    if (restMs > 0) this.#watchdog = timers.after(restMs, () => this.#checkIdle());
    else this.#suspect(`nothing came for ${idleMs} ms`);
  }

  #suspect(message: string): void {
    this.#options.connections.retire();
    this.#broke(message);
  }

  /** A server that was stopped, restored and started again would be silent about all it was asked for: list first. */
  #broke(message: string): void {
    this.#end(this.#options.connections.closed ? 'ended' : 'expired', message);
  }

  #end(code: WatchEnd['code'], message: string, retryAfterMs?: number): void {
    if (this.#over) return;
    this[Symbol.dispose]();
    this.#options.onEnd({ code, message, retryAfterMs });
  }
}
