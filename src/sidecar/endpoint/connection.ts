import type { Socket } from 'node:net';
import type { LiveCall } from './live-call.ts';

/** What the endpoint knows of one connection of a caller. */
export class Connection {
  readonly socket: Socket;
  /** Values of the Host header its listener answers to; `undefined` on a Unix socket, where any will do. */
  readonly hosts: ReadonlySet<string> | undefined;
  /** Requests whose answer is not yet flushed: more than one only if the caller pipelines. */
  readonly calls = new Set<LiveCall>();
  /** Its last answer was written below the HTTP layer; nothing more is read from it. */
  finished = false;

  constructor(socket: Socket, hosts: ReadonlySet<string> | undefined) {
    this.socket = socket;
    this.hosts = hosts;
  }

  /** Whether the head of some answer is on the wire and its end is not: anything else written now would corrupt it. */
  get isMidAnswer(): boolean {
    for (const call of this.calls) if (call.response.headersSent) return true;
    return false;
  }
}

const CONNECTION = Symbol('lockkeeper.connection');
type TrackedSocket = Socket & { [CONNECTION]?: Connection };

export function attachConnection(connection: Connection): void {
  (connection.socket as TrackedSocket)[CONNECTION] = connection;
}

/** `undefined` for a request that was passed in memory. */
export function connectionOf(socket: Socket): Connection | undefined {
  return (socket as TrackedSocket)[CONNECTION];
}
