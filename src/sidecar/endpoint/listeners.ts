import { lstat, unlink } from 'node:fs/promises';
import type { Server } from 'node:http';
import { type ListenOptions, connect } from 'node:net';
import { LockkeeperError } from '../../api/codes.ts';
import type { Log } from '../../system/logger.ts';
import { nativeCodeOf } from './errors.ts';

/** Makes a server that is not yet listening. */
export type MakeServer = () => Server;

const IPV4 = '127.0.0.1';
const IPV6 = '::1';
/** The kernel picks a free port on one family; on the other it may be taken. */
const ephemeralAttemptsMax = 20;

/**
 * Listens on both loopback addresses at the same port; 0 lets the kernel pick one that is free on both. A machine without
 * IPv6 gets 127.0.0.1 alone. A port that is taken on either address is an error: what is called `localhost` must not
 * be two servers.
 */
export async function listenOnLoopback(makeServer: MakeServer, port: number, log: Log): Promise<readonly Server[]> {
  for (let attempt = 1; ; attempt += 1) {
    const first = makeServer();
    await listen(first, { host: IPV4, port });
    try {
      const second = makeServer();
      await listen(second, { host: IPV6, port: portOf(first) ?? port, ipv6Only: true });
      return [first, second];
    } catch (error) {
      if (isWithoutIpv6(error)) {
        log.info(
          { address: IPV4, port: portOf(first), missing: IPV6 },
          'the local API has no IPv6 loopback address to listen on',
        );
        return [first];
      }
      await stop(first);
      if (port !== 0 || attempt === ephemeralAttemptsMax) throw error;
    }
  }
}

/**
 * Listens on a Unix socket that every user may connect to: containers of a pod run as different users, and the volume is
 * what only the pod shares. A file left by a process that is gone is replaced; a living server is an error.
 */
export async function listenOnSocket(makeServer: MakeServer, path: string): Promise<Server> {
  if (Buffer.byteLength(path) > socketPathBytesMax) {
    throw new LockkeeperError(
      'INVALID_ARGUMENT',
      `The socket path ${path} is longer than ${socketPathBytesMax} bytes; use a shorter one.`,
      { field: 'socketPath' },
    );
  }
  const options = { path, readableAll: true, writableAll: true };
  try {
    return await listen(makeServer(), options);
  } catch (error) {
    const isLeftOver =
      systemCodeOf(error) === 'EADDRINUSE' && (await lstat(path)).isSocket() && !(await isServed(path));
    if (!isLeftOver) throw error;
    await unlink(path);
    return listen(makeServer(), options);
  }
}

/** What the kernel takes (`sun_path`), less the closing zero; macOS has the smaller of the common sizes. */
const socketPathBytesMax = 103;

/** The TCP port that a listening server has; `undefined` on a Unix socket. */
export function portOf(server: Server): number | undefined {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : undefined;
}

/** `http://127.0.0.1:5625`, `http://[::1]:5625` or `unix:/path`. */
export function addressOf(server: Server): string {
  const address = server.address();
  if (address === null) return '';
  if (typeof address === 'string') return `unix:${address}`;
  return `http://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`;
}

/** Stops accepting; settles when the last connection is closed. */
export function stop(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}

/** Connections that may wait to be accepted. When a burst fills it the kernel drops the next, whose caller tries again after 1 s. */
const backlog = 4_096;

function listen(server: Server, options: ListenOptions): Promise<Server> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => reject(explained(error, options));
    server.once('error', fail);
    server.listen({ ...options, backlog }, () => {
      server.off('error', fail);
      resolve(server);
    });
  });
}

/** What the person who started the process has to change. */
function explained(error: Error, { host, port, path }: ListenOptions): Error {
  const where = path ?? `port ${port}`;
  const details = path === undefined ? { host, port } : { path };
  switch (systemCodeOf(error)) {
    case 'EADDRINUSE': {
      const option = path === undefined ? '--port' : '--socket';
      return new LockkeeperError(
        'UNAVAILABLE',
        `${where} is in use; stop the other process or use ${option}`,
        { ...details, reason: 'addressInUse' },
        { cause: error },
      );
    }
    case 'EACCES':
      return new LockkeeperError(
        'PERMISSION_DENIED',
        `this user may not listen on ${where}; use another one`,
        details,
        { cause: error },
      );
    default:
      return error;
  }
}

function isWithoutIpv6(error: unknown): boolean {
  const code = systemCodeOf(error);
  return code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT';
}

function systemCodeOf(error: unknown): unknown {
  return nativeCodeOf(error instanceof LockkeeperError ? error.cause : error);
}

/** Whether somebody accepts connections there. */
function isServed(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect({ path });
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
  });
}
