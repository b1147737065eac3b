import { lstat, unlink } from 'node:fs/promises';
import type { Server } from 'node:http';
import { connect } from 'node:net';
import { LockkeeperError } from '../../api/codes.ts';
import type { Log } from '../../system/logger.ts';
import { IPV4, IPV6, ListenError, type MakeServer, listen, listenOnBothLoopbacks } from '../../system/loopback.ts';

/** Listens on the loopback addresses, see `listenOnBothLoopbacks`. Rejects with what a person has to change. */
export async function listenOnLoopback(makeServer: MakeServer, port: number, log: Log): Promise<readonly Server[]> {
  try {
    return await listenOnBothLoopbacks(makeServer, port, (ownPort) =>
      log.info(
        { address: IPV4, port: ownPort, missing: IPV6 },
        'the local API has no IPv6 loopback address to listen on',
      ),
    );
  } catch (error) {
    throw explained(error);
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
      error instanceof ListenError &&
      error.code === 'EADDRINUSE' &&
      (await lstat(path)).isSocket() &&
      !(await isServed(path));
    if (!isLeftOver) throw explained(error);
    await unlink(path);
    return await listen(makeServer(), options).catch((again: unknown) => {
      throw explained(again);
    });
  }
}

/** What the kernel takes (`sun_path`), less the closing zero; macOS has the smaller of the common sizes. */
const socketPathBytesMax = 103;

/** `http://127.0.0.1:5625`, `http://[::1]:5625` or `unix:/path`. */
export function addressOf(server: Server): string {
  const address = server.address();
  if (address === null) return '';
  if (typeof address === 'string') return `unix:${address}`;
  return `http://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`;
}

/** What the person who started the process has to change. */
function explained(error: unknown): unknown {
  if (!(error instanceof ListenError)) return error;
  const { cause } = error;
  const { host, port, path } = error.where;
  const where = path ?? `port ${port}`;
  const details = path === undefined ? { host, port } : { path };
  switch (error.code) {
    case 'EADDRINUSE': {
      const option = path === undefined ? '--port' : '--socket';
      return new LockkeeperError(
        'UNAVAILABLE',
        `${where} is in use; stop the other process or use ${option}`,
        { ...details, reason: 'addressInUse' },
        { cause },
      );
    }
    case 'EACCES':
      return new LockkeeperError(
        'PERMISSION_DENIED',
        `this user may not listen on ${where}; use another one`,
        details,
        { cause },
      );
    default:
      return cause;
  }
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
