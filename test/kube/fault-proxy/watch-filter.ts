/** The end of a watch that a fault proxy harms: its first events pass, then comes the fault. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { WatchFault } from './faults.ts';

const expired = {
  type: 'ERROR',
  object: {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: 'too old resource version: the fault proxy says so',
    reason: 'Expired',
    code: 410,
  },
};

export class WatchFilter {
  readonly #events: IncomingMessage;
  readonly #client: ServerResponse;
  readonly #fault: WatchFault;

  constructor(events: IncomingMessage, client: ServerResponse, fault: WatchFault) {
    this.#events = events;
    this.#client = client;
    this.#fault = fault;
  }

  /** Resolves once the fault has happened, or the watch has ended before. */
  async run(): Promise<void> {
    const { kind, afterEvents = 0 } = this.#fault;
    if (!(await this.#pass(afterEvents))) return;
    // The client's part of the stream is over, and so is the API server's.
    this.#events.destroy();
    if (kind === 'expireWatch') this.#client.end(`${JSON.stringify(expired)}\n`);
    if (kind === 'endWatch') this.#client.end();
  }

  /** Passes so many events on, a line each. False if the stream ended before. */
  async #pass(count: number): Promise<boolean> {
    let passed = 0;
    let rest = Buffer.alloc(0);
    if (count === 0) return true;
    for await (const chunk of this.#events) {
      rest = Buffer.concat([rest, chunk as Buffer]);
      for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
        this.#client.write(rest.subarray(0, end + 1));
        rest = rest.subarray(end + 1);
        passed += 1;
        if (passed === count) return true;
      }
    }
    this.#client.end();
    return false;
  }
}
