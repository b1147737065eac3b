import type { Socket } from 'node:net';
import { LockkeeperError } from '../../api/codes.ts';
import { messageOf } from '../../api/messages.ts';
import { Connection, attachConnection } from './connection.ts';
import type { LiveCall } from './live-call.ts';
import type { EndpointSettings } from './settings.ts';

const CALLER_GONE = new LockkeeperError('UNAVAILABLE', messageOf('UNAVAILABLE', { reason: 'callerGone' }), {
  reason: 'callerGone',
});

export type ConnectionBounds = Pick<
  EndpointSettings,
  'idleConnectionsMax' | 'connectionsMax' | 'requestsPerConnectionMax'
>;

/**
 * All connections of the endpoint, over all its listeners, and the bounds on them. A connection is idle while no request
 * of it is under way; the set of idle ones is ordered by the time since when.
 */
export class Connections {
  readonly #idleMax: number;
  readonly #connectionsMax: number;
  readonly #requestsMax: number;
  readonly #all = new Set<Connection>();
  readonly #idle = new Set<Connection>();
  #closing = false;

  constructor(bounds: ConnectionBounds) {
    this.#idleMax = bounds.idleConnectionsMax;
    this.#connectionsMax = bounds.connectionsMax;
    this.#requestsMax = bounds.requestsPerConnectionMax;
  }

  get count(): number {
    return this.#all.size;
  }

  /** True from the moment the endpoint begins to close. */
  get closing(): boolean {
    return this.#closing;
  }

  /** Takes a new connection in. `undefined` if too many are busy: the caller of this method then refuses it. */
  add(socket: Socket, hosts: ReadonlySet<string> | undefined): Connection | undefined {
    if (this.#idle.size >= this.#idleMax || this.#all.size >= this.#connectionsMax) this.#closeIdlest();
    if (this.#all.size >= this.#connectionsMax) return undefined;
    const connection = new Connection(socket, hosts);
    attachConnection(connection);
    this.#all.add(connection);
    this.#idle.add(connection);
    socket.once('close', () => this.#remove(connection));
    return connection;
  }

  /** False, and the connection is cut, if it has too many requests under way: answers pile up in the order of requests. */
  begin(connection: Connection, call: LiveCall): boolean {
    if (connection.calls.size >= this.#requestsMax) {
      connection.socket.destroy();
      return false;
    }
    connection.calls.add(call);
    this.#idle.delete(connection);
    return true;
  }

  /** The answer of `call` is flushed, or never will be. */
  end(connection: Connection, call: LiveCall): void {
    if (!connection.calls.delete(call)) return;
    if (connection.calls.size > 0 || !this.#all.has(connection)) return;
    this.#idle.add(connection);
    if (this.#closing) connection.socket.destroySoon();
  }

  /** Aborts what is under way, closes what is idle, and from now on every connection after its last answer. */
  close(reason: LockkeeperError): void {
    this.#closing = true;
    for (const connection of this.#idle) connection.socket.destroySoon();
    for (const connection of this.#all) for (const call of connection.calls) call.abort(reason);
  }

  destroyAll(): void {
    for (const connection of this.#all) connection.socket.destroy();
  }

  #closeIdlest(): void {
    const [idlest] = this.#idle;
    if (idlest === undefined) return;
    // Removed at once, not on its close event: many may come in one turn of the event loop.
    this.#remove(idlest);
    idlest.socket.destroy();
  }

  #remove(connection: Connection): void {
    this.#all.delete(connection);
    this.#idle.delete(connection);
    for (const call of connection.calls) call.abort(CALLER_GONE);
    connection.calls.clear();
  }
}
