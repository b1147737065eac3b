import { type Server, createServer } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { LockkeeperError } from '../../api/codes.ts';
import { messageOf } from '../../api/messages.ts';
import type { Clock } from '../../system/clock.ts';
import type { Log } from '../../system/logger.ts';
import { type MakeServer, hostsOfPort, portOf, stop } from '../../system/loopback.ts';
import type { Timers } from '../../system/timers.ts';
import type { LockCalls } from '../calls.ts';
import { buildApp, shuttingDown } from './app.ts';
import { Connections } from './connections.ts';
import { addressOf, listenOnLoopback, listenOnSocket } from './listeners.ts';
import { answerProtocolErrors, headerBytesMax } from './protocol-errors.ts';
import { answerRaw } from './raw-answer.ts';
import type { MetricsPage } from './routes/operational.ts';
import { DEFAULT_SETTINGS, type EndpointSettings } from './settings.ts';

export interface EndpointOptions {
  readonly calls: LockCalls;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly log: Log;
  /** The page that `/metrics` answers. */
  readonly metrics: () => Promise<MetricsPage>;
  /** Version of the product, for the OpenAPI document. */
  readonly version: string;
  /** TCP port on 127.0.0.1 and [::1]; 0 takes any free one, `undefined` opens no TCP listener. */
  readonly port?: number | undefined;
  /** Path of a Unix socket, at most 103 bytes; `undefined` opens none. */
  readonly socketPath?: string | undefined;
  readonly settings?: Partial<EndpointSettings>;
}

/** The localhost API while it is open. */
export interface Endpoint extends AsyncDisposable {
  /** The TCP port in use; `undefined` without a TCP listener. */
  readonly port: number | undefined;
  /** Where it listens: `http://127.0.0.1:5625`, `http://[::1]:5625`, `unix:/path`. */
  readonly addresses: readonly string[];
  /**
   * Closes in order: nothing new is accepted, requests under way see their signal abort with UNAVAILABLE `shuttingDown`
   * and may still answer, `:hold` streams may still write their last line. What is left after `closeWaitMs` is cut.
   */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Opens the localhost API. Rejects with a LockkeeperError whose message is fit for a terminal if an address cannot be had:
 * UNAVAILABLE if it is in use, PERMISSION_DENIED if this user may not. Nothing stays open then.
 */
export async function openEndpoint(options: EndpointOptions): Promise<Endpoint> {
  const settings: EndpointSettings = { ...DEFAULT_SETTINGS, ...options.settings };
  const connections = new Connections(settings);
  const app = await buildApp({ ...options, connections });
  const makeServer: MakeServer = () => serverOf(app, connections, options.timers, settings);
  const servers: Server[] = [];
  try {
    if (options.socketPath !== undefined) servers.push(await listenOnSocket(makeServer, options.socketPath));
    if (options.port !== undefined) servers.push(...(await listenOnLoopback(makeServer, options.port, options.log)));
  } catch (error) {
    await Promise.all([...servers.map(stop), app.close()]);
    throw error;
  }

  let closing: Promise<void> | undefined;
  const close = async () => {
    const stopped = Promise.all(servers.map(stop));
    connections.close(shuttingDown());
    using _cut = options.timers.after(settings.closeWaitMs, () => connections.destroyAll());
    await stopped;
    await app.close();
  };
  return {
    port: servers.map(portOf).find((port) => port !== undefined),
    addresses: servers.map(addressOf),
    [Symbol.asyncDispose]: () => (closing ??= close()),
  };
}

/** An HTTP server that serves `app`, tracks its connections and bounds what a slow or broken caller can cost. */
function serverOf(app: FastifyInstance, connections: Connections, timers: Timers, settings: EndpointSettings): Server {
  const server = createServer(
    {
      headersTimeout: settings.headersTimeoutMs,
      requestTimeout: settings.requestTimeoutMs,
      keepAliveTimeout: settings.keepAliveTimeoutMs,
      connectionsCheckingInterval: settings.timeoutCheckIntervalMs,
      maxHeaderSize: headerBytesMax,
      // The guards answer a missing Host themselves, with a body.
      requireHostHeader: false,
      noDelay: true,
    },
    (request, response) => app.routing(request, response),
  );
  // Bounded by their bytes already. A count would drop the rest in silence, an Origin among it.
  server.maxHeadersCount = 0;
  answerProtocolErrors(server, timers, settings.lingerMs);

  let hosts: ReadonlySet<string> | undefined = new Set();
  server.on('listening', () => {
    const port = portOf(server);
    hosts = port === undefined ? undefined : hostsOfPort(port);
  });
  server.on('connection', (socket: Socket) => {
    if (connections.add(socket, hosts) === undefined)
      answerRaw(socket, tooManyConnections(settings), timers, settings.lingerMs);
  });
  return server;
}

function tooManyConnections({ connectionsMax }: EndpointSettings): LockkeeperError {
  const details = { reason: 'connections', limit: connectionsMax, retryAfterMs: 1_000 };
  return new LockkeeperError('UNAVAILABLE', messageOf('UNAVAILABLE', details), details);
}
