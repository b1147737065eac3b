import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { LockkeeperError } from '../api/codes.ts';
import type { Log } from '../system/logger.ts';

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
/** The kernel picks a free port on one family; on the other it may be taken. */
const ATTEMPTS_MAX = 20;

/**
 * Serves `/healthz` (200 while the event loop turns), `/readyz` (503 with the reason while the process does not serve) and
 * `/metrics` on the loopback addresses, to programs of this machine or pod and not to web pages. Rejects with a `LockkeeperError`
 * (UNAVAILABLE, PERMISSION_DENIED) that names the port if it cannot be had.
 */
export async function openHealth(options: HealthOptions): Promise<Health> {
  const servers = await listen(() => serverOf(options), options);
  const port = portOf(servers[0]);
  const close = async () => {
    const closed = servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve())));
    for (const server of servers) server.closeAllConnections();
    await Promise.all(closed);
  };
  let closing: Promise<void> | undefined;
  return { port, [Symbol.asyncDispose]: () => (closing ??= close()) };
}

function serverOf(options: HealthOptions): Server {
  const server = createServer({ requestTimeout: 10_000, headersTimeout: 10_000 }, (request, response) => {
    answer(options, request, portOf(server)).then(
      ({ status, contentType, body }) => send(response, status, contentType, body),
      (error: unknown) => {
        options.log.error({ error }, 'could not answer a request for health or metrics');
        send(response, 500, TEXT, 'the log of this process has the cause\n');
      },
    );
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

async function answer(options: HealthOptions, request: IncomingMessage, port: number): Promise<Answer> {
  const { method, url, headers } = request;
  const text = (status: number, body: string) => ({ status, contentType: TEXT, body: `${body}\n` });
  // A name that resolves to 127.0.0.1 for a moment is how a web page would reach us.
  const isOurs = ['localhost', '127.0.0.1', '[::1]'].some((host) => headers.host === `${host}:${port}`);
  if (!isOurs || headers.origin !== undefined) return text(403, 'only for programs of this machine');
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

/** A machine without IPv6 gets 127.0.0.1 alone. */
async function listen(makeServer: () => Server, { port, log }: HealthOptions): Promise<readonly [Server, ...Server[]]> {
  for (let attempt = 1; ; attempt++) {
    const first = await listenOn(makeServer(), '127.0.0.1', port);
    try {
      return [first, await listenOn(makeServer(), '::1', portOf(first))];
    } catch (error) {
      const code = codeOf(error);
      if (code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT') {
        log.info({ address: '127.0.0.1', missing: '::1' }, 'there is no IPv6 loopback address to listen on');
        return [first];
      }
      first.close();
      if (port !== 0 || attempt === ATTEMPTS_MAX) throw error;
    }
  }
}

function listenOn(server: Server, host: string, port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(explained(error, host, port)));
    server.listen({ host, port, ipv6Only: host === '::1' }, () => resolve(server));
  });
}

function explained(error: Error, host: string, port: number): Error {
  const code = codeOf(error);
  if (code !== 'EADDRINUSE' && code !== 'EACCES') return error;
  const what = code === 'EACCES' ? `This user may not listen on port ${port}` : `Port ${port} is in use`;
  return new LockkeeperError(
    code === 'EACCES' ? 'PERMISSION_DENIED' : 'UNAVAILABLE',
    `${what}. Name another one with --port, or 0 for any free one.`,
    { host, port, reason: code === 'EACCES' ? 'forbidden' : 'addressInUse' },
    { cause: error },
  );
}

function codeOf(error: unknown): unknown {
  const cause = error instanceof LockkeeperError ? error.cause : error;
  return (cause as { readonly code?: unknown } | undefined)?.code;
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}
