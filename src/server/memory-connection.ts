import type { Inspection, Operation } from '../api/operations.ts';
import type { SessionTransport, TransportListQuery } from '../api/transport.ts';
import type { ServerConnection } from './server-connection.ts';

/** What a transport in the server's own process needs beside its connection. */
export interface MemoryConnectionHost {
  list(query: TransportListQuery): Promise<readonly Inspection[]>;
}

/**
 * The transport of a session that lives in the server's own process. Frames are processed within `send`. Its connection never
 * has another one before or after it: in memory nothing is ever cut and resumed.
 */
export class MemoryConnection implements SessionTransport {
  readonly #connection: ServerConnection;
  readonly #host: MemoryConnectionHost;
  #frame = 0;

  constructor(connection: ServerConnection, host: MemoryConnectionHost) {
    this.#connection = connection;
    this.#host = host;
  }

  /** The session's slot, for a next process that will declare its holds; -1 if there are more sessions than slots. */
  get slot(): number {
    return this.#connection.identity.slot;
  }

  send(operations: readonly Operation[]): number {
    const frame = ++this.#frame;
    this.#connection.receive(frame, operations);
    return frame;
  }

  list(query: TransportListQuery): Promise<readonly Inspection[]> {
    return this.#host.list(query);
  }

  reclaimComplete(shard: number, epoch: number): void {
    this.#connection.reclaimComplete(shard, epoch);
  }

  close(reason: 'goodbye' | 'lost'): void {
    this.#connection.close(reason);
  }
}
