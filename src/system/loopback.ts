/** Listening on both loopback addresses of this machine at one port, and the names under which that is reached. */
import type { Server } from 'node:http';
import type { ListenOptions } from 'node:net';

/** Makes a server that is not yet listening. */
export type MakeServer = () => Server;

export const IPV4 = '127.0.0.1';
export const IPV6 = '::1';
/** The kernel picks a free port on one family; on the other it may be taken. */
const EPHEMERAL_ATTEMPTS_MAX = 20;
/** Connections that may wait to be accepted. When a burst fills it the kernel drops the next, whose caller tries again after 1 s. */
const BACKLOG = 4_096;

/** An address that cannot be listened on. `cause` is the kernel's error. */
export class ListenError extends Error {
  /** The kernel's code, for example `EADDRINUSE`. */
  readonly code: unknown;
  readonly where: ListenOptions;

  constructor(where: ListenOptions, cause: NodeJS.ErrnoException) {
    super(cause.message, { cause });
    this.code = cause.code;
    this.where = where;
  }
}

/**
 * Listens on both loopback addresses at the same port; 0 lets the kernel pick one that is free on both. A machine without
 * IPv6 gets 127.0.0.1 alone, and `onWithoutIpv6` is told the port. A port that is taken on either address is an error: what is
 * called `localhost` must not be two servers. Rejects with a `ListenError`; then nothing listens.
 */
export async function listenOnBothLoopbacks(
  makeServer: MakeServer,
  port: number,
  onWithoutIpv6: (port: number | undefined) => void,
): Promise<readonly [Server, ...Server[]]> {
  for (let attempt = 1; ; attempt += 1) {
    const first = await listen(makeServer(), { host: IPV4, port });
    try {
      return [first, await listen(makeServer(), { host: IPV6, port: portOf(first) ?? port, ipv6Only: true })];
    } catch (error) {
      if (isWithoutIpv6(error)) {
        onWithoutIpv6(portOf(first));
        return [first];
      }
      await stop(first);
      if (port !== 0 || attempt === EPHEMERAL_ATTEMPTS_MAX) throw error;
    }
  }
}

/** Resolves with the server once it listens; rejects with a `ListenError`. */
export function listen(server: Server, where: ListenOptions): Promise<Server> {
  return new Promise((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException) => reject(new ListenError(where, error));
    server.once('error', fail);
    server.listen({ ...where, backlog: BACKLOG }, () => {
      server.off('error', fail);
      resolve(server);
    });
  });
}

/** Stops accepting; settles when the last connection is closed. */
export function stop(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}

/** The TCP port that a listening server has; `undefined` on a Unix socket. */
export function portOf(server: Server): number | undefined {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : undefined;
}

/** The values of Host that a listener on the loopback addresses answers to. */
export function hostsOfPort(port: number): ReadonlySet<string> {
  const names = ['localhost', IPV4, `[${IPV6}]`];
  return new Set(names.flatMap((name) => (port === 80 ? [name, `${name}:${port}`] : [`${name}:${port}`])));
}

function isWithoutIpv6(error: unknown): boolean {
  return error instanceof ListenError && (error.code === 'EADDRNOTAVAIL' || error.code === 'EAFNOSUPPORT');
}
