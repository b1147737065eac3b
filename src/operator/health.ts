import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { LockkeeperError } from '../api/codes.ts';
import type { Log } from '../system/logger.ts';
import { hostsOfPort, IPV4, IPV6, ListenError, listenOnBothLoopbacks, portOf, stop } from '../system/loopback.ts';

export interface HealthOptions {
  /** On 127.0.0.1 and [::1]; 0 takes any free one. */
  readonly port: number;
  /** Why the process does not serve, in words; `undefined` if it does. */
  readonly notReadyReason: () => string | undefined;
  /** The page of metrics. */
  readonly metrics: () => Promise<{ readonly contentType: string; readonly body: string }>;
  readonly log: Log;
}

export interface Health extends AsyncDisposable {
  readonly port: number;
  /** Nothing new is accepted; connections are cut. */
  [Symbol.asyncDispose](): Promise<void>;
}

const CONNECTIONS_MAX = 256;

/**
 * Serves `/healthz` (200 while the event loop turns), `/readyz` (503 with the reason while the process does not serve) and
 * `/metrics` on the loopback addresses, to programs of this machine or pod and not to web pages. Rejects with a `LockkeeperError`
 * (UNAVAILABLE, PERMISSION_DENIED) that names the port if it cannot be had.
 */
export async function openHealth(options: HealthOptions): Promise<Health> {
  const servers = await listenOnBothLoopbacks(
    () => serverOf(options),
    options.port,
    () => options.log.info({ address: IPV4, missing: IPV6 }, 'there is no IPv6 loopback address to listen on'),
  ).catch((error: unknown) => {
    throw explained(error);
  });
  const port = portOf(servers[0]) ?? options.port;
  const close = async () => {
    const closed = servers.map(stop);
    for (const server of servers) server.closeAllConnections();
    await Promise.all(closed);
  };
  let closing: Promise<void> | undefined;
  return { port, [Symbol.asyncDispose]: () => (closing ??= close()) };
}

function serverOf(options: HealthOptions): Server {
  let hosts: ReadonlySet<string> = new Set();
  const server = createServer({ requestTimeout: 10_000, headersTimeout: 10_000 }, (request, response) => {
    answer(options, request, hosts).then(
      ({ status, contentType, body }) => send(response, status, contentType, body),
      (error: unknown) => {
        options.log.error({ error }, 'could not answer a request for health or metrics');
        send(response, 500, TEXT, 'the log of this process has the cause\n');
      },
    );
  });
  server.once('listening', () => {
    hosts = hostsOfPort(portOf(server) ?? options.port);
  });
  server.maxConnections = CONNECTIONS_MAX;
  return server;
}

interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

const TEXT = 'text/plain; charset=utf-8';

async function answer(options: HealthOptions, request: IncomingMessage, hosts: ReadonlySet<string>): Promise<Answer> {
  const { method, url, headers } = request;
  const text = (status: number, body: string) => ({ status, contentType: TEXT, body: `${body}\n` });
  // A name that resolves to 127.0.0.1 for a moment is how a web page would reach us.
  if (!hosts.has(headers.host ?? '') || headers.origin !== undefined)
    return text(403, 'only for programs of this machine');
  if (method !== 'GET' && method !== 'HEAD') return text(405, 'use GET');
  switch ((url ?? '').split('?')[0] ?? '') {
    case '/healthz':
      return text(200, 'ok');
    case '/readyz': {
      const reason = options.notReadyReason();
      return reason === undefined ? text(200, 'ok') : text(503, reason);
    }
    case '/metrics':
      return { status: 200, ...(await options.metrics()) };
    default:
      return text(404, 'there are /healthz, /readyz and /metrics');
  }
}

function send(response: ServerResponse, status: number, contentType: string, body: string): void {
  response.writeHead(status, { 'content-type': contentType, 'cache-control': 'no-store' });
  response.end(response.req.method === 'HEAD' ? undefined : body);
}

/** What the person who started the process has to change. */
function explained(error: unknown): unknown {
  if (!(error instanceof ListenError)) return error;
  const { code, cause } = error;
  const { host, port } = error.where;
  if (code !== 'EADDRINUSE' && code !== 'EACCES') return cause;
  const what = code === 'EACCES' ? `This user may not listen on port ${port}` : `Port ${port} is in use`;
  return new LockkeeperError(
    code === 'EACCES' ? 'PERMISSION_DENIED' : 'UNAVAILABLE',
    `${what}. Name another one with --port, or 0 for any free one.`,
    { host, port, reason: code === 'EACCES' ? 'forbidden' : 'addressInUse' },
    { cause },
  );
}
