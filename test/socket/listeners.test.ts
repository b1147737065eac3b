/**
 * Goal: `localhost` is one server on both address families and on the Unix socket, and an address that cannot be had is
 * an error that says what to change.
 * Method: real listeners; a machine without IPv6 is a server that refuses to listen on ::1.
 */
import { type Server, createServer } from 'node:http';
import { createServer as createSocketServer } from 'node:net';
import { once } from 'node:events';
import { access, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { LockkeeperError } from '../../src/api/codes.ts';
import { addressOf, listenOnLoopback } from '../../src/sidecar/endpoint/listeners.ts';
import { portOf, stop } from '../../src/system/loopback.ts';
import { type Log, type LogFields, silentLog } from '../../src/system/logger.ts';
import { openForTest, send, textOf } from '../support/local-endpoint.ts';

let folder: string;
let socketPath: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lockkeeper-'));
  socketPath = join(folder, 'api.sock');
});
afterEach(() => rm(folder, { recursive: true }));

const health = { method: 'GET', path: '/healthz' };

async function isHealthy(where: { port?: number | undefined; host?: string; socketPath?: string }): Promise<boolean> {
  return (await textOf(await send(where, health).response)) === '{"status":"ok"}';
}

function failure(promise: Promise<AsyncDisposable>): Promise<unknown> {
  return promise.then(
    async (opened) => {
      await opened[Symbol.asyncDispose]();
      throw new Error('it opened');
    },
    (error: unknown) => error,
  );
}

test('one free port on both addresses, and the Unix socket', async () => {
  await using endpoint = await openForTest({ socketPath });
  const { port } = endpoint;
  expect(endpoint.addresses).toEqual([`unix:${socketPath}`, `http://127.0.0.1:${port}`, `http://[::1]:${port}`]);
  for (const where of [
    { host: '127.0.0.1', port },
    { host: '::1', port },
    { host: 'localhost', port },
    { socketPath },
  ]) {
    expect(await isHealthy(where)).toBe(true);
  }
});

test('only the Unix socket', async () => {
  await using endpoint = await openForTest({ socketPath, port: undefined });
  expect(endpoint).toMatchObject({ port: undefined, addresses: [`unix:${socketPath}`] });
  expect(await isHealthy({ socketPath })).toBe(true);
});

test('no other address of the machine is listened on', async () => {
  await using endpoint = await openForTest();
  // Every address of 127.0.0.0/8 reaches this machine, but only 127.0.0.1 is ours.
  await expect(send({ host: '127.0.0.2', port: endpoint.port }, health).response).rejects.toMatchObject({
    code: 'ECONNREFUSED',
  });
});

describe('a port in use', () => {
  test.each(['127.0.0.1', '::1'])('on %s', async (host) => {
    const other = createServer();
    other.listen(0, host);
    await once(other, 'listening');
    const port = portOf(other);
    try {
      const error = await failure(openForTest({ port, socketPath }));
      expect(error).toBeInstanceOf(LockkeeperError);
      expect(error).toMatchObject({
        code: 'UNAVAILABLE',
        message: `port ${port} is in use; stop the other process or use --port`,
        details: { port, reason: 'addressInUse' },
        cause: { code: 'EADDRINUSE' },
      });
      // Nothing stays open: neither the other family nor the Unix socket.
      await expect(access(socketPath)).rejects.toMatchObject({ code: 'ENOENT' });
    } finally {
      await stop(other);
    }
    await using endpoint = await openForTest({ port });
    expect(endpoint.port).toBe(port);
  });

  test('a free port is found though the first choice is taken on the other family', async () => {
    let refusals = 3;
    const makeServer = () => {
      const server = createServer();
      const listen = server.listen.bind(server) as (...args: unknown[]) => Server;
      server.listen = ((options: { host?: string }, done: () => void) => {
        if (options.host !== '::1' || refusals === 0) return listen(options, done);
        refusals -= 1;
        queueMicrotask(() => server.emit('error', Object.assign(new Error('taken'), { code: 'EADDRINUSE' })));
        return server;
      }) as Server['listen'];
      return server;
    };
    const servers = await listenOnLoopback(makeServer, 0, silentLog);
    expect(refusals).toBe(0);
    expect(new Set(servers.map(portOf)).size).toBe(1);
    await Promise.all(servers.map(stop));
  });
});

test.each(['EADDRNOTAVAIL', 'EAFNOSUPPORT'])(
  'a machine without IPv6 (%s) gets 127.0.0.1 and one line in the log',
  async (code) => {
    const lines: LogFields[] = [];
    const backlogs: unknown[] = [];
    const log: Log = { ...silentLog, info: (fields) => lines.push(fields) };
    const makeServer = () => {
      const server = createServer();
      const listen = server.listen.bind(server) as (...args: unknown[]) => Server;
      server.listen = ((options: { host?: string; backlog?: number }, done: () => void) => {
        backlogs.push(options.backlog);
        if (options.host !== '::1') return listen(options, done);
        queueMicrotask(() => server.emit('error', Object.assign(new Error('no such address'), { code })));
        return server;
      }) as Server['listen'];
      return server;
    };
    const servers = await listenOnLoopback(makeServer, 0, log);
    expect(servers.map(addressOf)).toEqual([expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/)]);
    expect(lines).toEqual([{ address: '127.0.0.1', port: servers[0] && portOf(servers[0]), missing: '::1' }]);
    // The default of 511 makes the kernel drop the callers of a burst, and each of them loses a second.
    expect(backlogs).toEqual([4_096, 4_096]);
    await Promise.all(servers.map(stop));
  },
);

describe('the Unix socket', () => {
  test('every user may connect, and the file goes with the endpoint', async () => {
    const endpoint = await openForTest({ socketPath, port: undefined });
    expect((await stat(socketPath)).mode & 0o666).toBe(0o666);
    await endpoint[Symbol.asyncDispose]();
    await expect(access(socketPath)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('a file that a dead process left is replaced', async () => {
    const dead = createSocketServer().listen(socketPath);
    await once(dead, 'listening');
    const kept = join(folder, 'kept.sock');
    const { rename } = await import('node:fs/promises');
    await rename(socketPath, kept);
    dead.close();
    await once(dead, 'close');
    await rename(kept, socketPath);
    await using endpoint = await openForTest({ socketPath, port: undefined });
    expect(await isHealthy({ socketPath })).toBe(true);
    expect(endpoint.addresses).toEqual([`unix:${socketPath}`]);
  });

  test('a living server is left alone', async () => {
    await using first = await openForTest({ socketPath, port: undefined });
    const error = await failure(openForTest({ socketPath, port: undefined }));
    expect(error).toMatchObject({
      code: 'UNAVAILABLE',
      message: `${socketPath} is in use; stop the other process or use --socket`,
    });
    expect(await isHealthy({ socketPath })).toBe(true);
    expect(first.addresses.length).toBe(1);
  });

  test('a file that is no socket is left alone', async () => {
    await writeFile(socketPath, 'precious');
    expect(await failure(openForTest({ socketPath, port: undefined }))).toMatchObject({ code: 'UNAVAILABLE' });
    expect((await stat(socketPath)).size).toBe(8);
  });

  test('a path that the kernel would cut off', async () => {
    const long = join(folder, 'x'.repeat(100));
    expect(await failure(openForTest({ socketPath: long, port: undefined }))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      details: { field: 'socketPath' },
    });
  });
});
