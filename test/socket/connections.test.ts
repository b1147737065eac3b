/**
 * Goal: connections are bounded, and no number of idle ones keeps a caller from being served.
 * Method: thousands of real connections to an endpoint with small bounds.
 */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import type { ErrorBody } from '../../src/api/codes.ts';
import type { EndpointSettings } from '../../src/sidecar/endpoint/settings.ts';
import { exchange, firstAnswer, head, openForTest, openSocket, rawPost, readerOf } from '../support/local-endpoint.ts';
import { rejectedByAbort, scriptedCalls } from '../support/scripted-calls.ts';

const open: Socket[] = [];
afterEach(() => {
  for (const socket of open.splice(0)) socket.destroy();
});

async function idleConnections(port: number | undefined, count: number): Promise<Socket[]> {
  const sockets: Socket[] = [];
  for (let index = 0; index < count; index += 1) {
    const socket = openSocket({ port });
    socket.on('error', () => {});
    sockets.push(socket);
    open.push(socket);
    // In batches that the backlog of the listener can hold.
    if (index % 100 === 99) await once(socket, 'connect');
  }
  const last = sockets.at(-1);
  if (last?.connecting === true) await once(last, 'connect');
  return sockets;
}

function health(port: number | undefined): Promise<string> {
  return exchange({ port }, head('GET /healthz', port, ['connection: close']));
}

function blockingCalls() {
  return scriptedCalls({ acquire: (_lockId, _request, { signal }) => rejectedByAbort(signal) });
}

function openBounded(settings: Partial<EndpointSettings>) {
  return openForTest({ calls: blockingCalls(), settings });
}

test('2,500 idle connections, and a caller is served at once', async () => {
  await using endpoint = await openBounded({ idleConnectionsMax: 4_096 });
  const sockets = await idleConnections(endpoint.port, 2_500);
  expect(firstAnswer(await health(endpoint.port)).status).toBe(200);
  expect(sockets.filter((socket) => socket.destroyed)).toEqual([]);
}, 20_000);

test('of too many idle connections the one that has been idle longest is closed', async () => {
  await using endpoint = await openBounded({ idleConnectionsMax: 100 });
  const sockets = await idleConnections(endpoint.port, 100);
  const [first, second] = sockets;
  // A request moves the first one to the end of the order.
  first?.write(head('GET /healthz', endpoint.port));
  await readerOf(first as Socket).until('ok');
  const closed = once(second as Socket, 'close');
  second?.resume();
  await idleConnections(endpoint.port, 1);
  await closed;
  expect(first?.destroyed).toBe(false);
  first?.write(head('GET /healthz', endpoint.port));
  await readerOf(first as Socket).until('ok');
});

test('a flood of idle connections far above the bound: busy ones stay, new callers are served', async () => {
  await using endpoint = await openBounded({ idleConnectionsMax: 50, connectionsMax: 200 });
  const [busy] = await idleConnections(endpoint.port, 1);
  busy?.write(rawPost('/v1/locks/a:acquire', endpoint.port));
  for (let round = 0; round < 5; round += 1) {
    await idleConnections(endpoint.port, 100);
    expect(firstAnswer(await health(endpoint.port)).status).toBe(200);
  }
  expect(busy?.destroyed).toBe(false);
});

test('a connection that pipelines without end is cut, and its calls learn of it', async () => {
  const calls = blockingCalls();
  await using endpoint = await openForTest({ calls, settings: { requestsPerConnectionMax: 10 } });
  const text = await exchange(endpoint, rawPost('/v1/locks/a:acquire', endpoint.port).repeat(1_000));
  expect(text).toBe('');
  expect(calls.seen.length).toBe(10);
  await health(endpoint.port);
  expect(calls.seen.map(({ context }) => context.signal.aborted)).toEqual(Array.from({ length: 10 }, () => true));
  // As many as allowed, and their answers come in order.
  const some =
    head('GET /healthz', endpoint.port).repeat(9) + head('GET /healthz', endpoint.port, ['connection: close']);
  expect((await exchange(endpoint, some)).match(/"status":"ok"/g)?.length).toBe(10);
});

test('at the bound of busy connections a new one is told why, until one of them leaves', async () => {
  const calls = blockingCalls();
  await using endpoint = await openForTest({ calls, settings: { connectionsMax: 3 } });
  const busy = await idleConnections(endpoint.port, 3);
  for (const socket of busy) {
    const seen = calls.next();
    socket.write(rawPost('/v1/locks/a:acquire', endpoint.port));
    await seen;
  }
  let answer = firstAnswer(await health(endpoint.port));
  expect(answer.status).toBe(503);
  expect(answer.headers).toMatchObject({ connection: 'close', 'retry-after': '1' });
  expect(answer.json()).toMatchObject({ code: 'UNAVAILABLE', details: { reason: 'connections', limit: 3 } });
  expect(answer.json<ErrorBody>().message).toContain('Too many connections');
  busy[0]?.destroy();
  // The endpoint learns of it a moment later.
  do answer = firstAnswer(await health(endpoint.port));
  while (answer.status === 503);
  expect(answer.status).toBe(200);
});
