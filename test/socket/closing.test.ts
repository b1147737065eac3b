/**
 * Goal: an endpoint that closes loses no answer that can still be given, and no caller can keep it open.
 * Method: callers in every state while the endpoint is disposed: idle, queued, streaming, half-sent, deaf.
 */
import { once } from 'node:events';
import { expect, test } from '@jest/globals';
import type { ErrorBody } from '../../src/api/codes.ts';
import type { Hold, HoldEvent } from '../../src/api/responses.ts';
import { shuttingDown } from '../../src/sidecar/endpoint/app.ts';
import { Connections } from '../../src/sidecar/endpoint/connections.ts';
import { EXAMPLES } from '../../src/sidecar/endpoint/open-api-examples.ts';
import { DEFAULT_SETTINGS } from '../../src/sidecar/endpoint/settings.ts';
import type { Timers } from '../../src/system/timers.ts';
import {
  exchange,
  firstAnswer,
  head,
  inMemory,
  openForTest,
  openSocket,
  post,
  rawPost,
  readerOf,
  send,
  textUntilClosed,
} from '../support/local-endpoint.ts';
import { rejectedByAbort, scriptedCalls } from '../support/scripted-calls.ts';

const acquire = '/v1/locks/a:acquire';

test('a queued acquire is answered UNAVAILABLE, and its connection closes', async () => {
  const calls = scriptedCalls({ acquire: (_lockId, _request, { signal }) => rejectedByAbort(signal) });
  const endpoint = await openForTest({ calls });
  const seen = calls.next();
  const text = exchange(endpoint, rawPost(acquire, endpoint.port));
  const { signal } = (await seen).context;
  await endpoint[Symbol.asyncDispose]();
  const answer = firstAnswer(await text);
  expect({
    status: answer.status,
    retryAfter: answer.headers['retry-after'],
    connection: answer.headers['connection'],
  }).toEqual({
    status: 503,
    retryAfter: '1',
    connection: 'close',
  });
  expect(answer.json()).toMatchObject({ code: 'UNAVAILABLE', details: { reason: 'shuttingDown' }, retryable: true });
  expect(signal.reason).toMatchObject({ code: 'UNAVAILABLE', details: { reason: 'shuttingDown' } });
});

test('a call that does not follow its signal still gives its answer', async () => {
  let answer = (_hold: Hold) => {};
  const calls = scriptedCalls({ renew: () => new Promise((resolve) => (answer = resolve)) });
  const endpoint = await openForTest({ calls });
  const seen = calls.next();
  const text = exchange(endpoint, rawPost('/v1/locks/a:renew', endpoint.port, '{"fencingToken":"1"}'));
  await seen;
  const closed = endpoint[Symbol.asyncDispose]();
  answer(EXAMPLES.hold);
  await closed;
  expect(firstAnswer(await text)).toMatchObject({ status: 200, headers: { connection: 'close' } });
});

test('a stream ends with the lost line of its calls', async () => {
  const lost: HoldEvent = { event: 'lost', code: 'UNAVAILABLE', message: 'Bye.', details: {} };
  const calls = scriptedCalls({
    async *hold(_lockId, _request, { signal }) {
      yield EXAMPLES.granted;
      await once(signal, 'abort');
      yield lost;
    },
  });
  const endpoint = await openForTest({ calls });
  const socket = openSocket(endpoint);
  const reader = readerOf(socket);
  const text = textUntilClosed(socket);
  socket.write(rawPost('/v1/locks/a:hold', endpoint.port));
  await reader.until('granted');
  await endpoint[Symbol.asyncDispose]();
  expect((await text).match(/"event":"\w+"/g)).toEqual(['"event":"granted"', '"event":"lost"']);
  expect(await text).toMatch(/\r\n0\r\n\r\n$/);
});

test('idle and half-sent connections are closed at once, and nothing new is accepted', async () => {
  const endpoint = await openForTest();
  const idle = openSocket(endpoint);
  idle.write(head('GET /healthz', endpoint.port));
  await readerOf(idle).until('ok');
  const half = openSocket(endpoint);
  await once(half, 'connect');
  const closes = [idle, half].map((socket) => textUntilClosed(socket));
  half.write('POST /v1/lo');
  await endpoint[Symbol.asyncDispose]();
  await Promise.all(closes);
  const { response } = send({ port: endpoint.port }, { method: 'GET', path: '/healthz' });
  await expect(response).rejects.toMatchObject({ code: 'ECONNREFUSED' });
});

test('while it closes, requests are answered UNAVAILABLE, health 200, readiness 503', async () => {
  const calls = scriptedCalls();
  const connections = new Connections(DEFAULT_SETTINGS);
  const request = await inMemory(calls, { connections });
  connections.close(shuttingDown());
  for (const refused of [post(acquire), { url: '/v1/locks/a' }, { url: '/readyz' }]) {
    const answer = await request(refused);
    expect({ status: answer.status, connection: answer.headers['connection'] }).toEqual({
      status: 503,
      connection: 'close',
    });
    expect(answer.json()).toMatchObject({ code: 'UNAVAILABLE', details: { reason: 'shuttingDown' } });
  }
  expect((await request({ url: '/healthz' })).status).toBe(200);
  expect(calls.seen).toEqual([]);
});

test('a caller that keeps its connection busy is cut after the wait', async () => {
  const pending: { delayMs: number; run: () => void }[] = [];
  const timers: Timers = {
    after: (delayMs, run) => {
      pending.push({ delayMs, run });
      return { [Symbol.dispose]: () => {} };
    },
    soon: () => ({ [Symbol.dispose]: () => {} }),
  };
  const calls = scriptedCalls({ acquire: () => new Promise(() => {}) });
  const endpoint = await openForTest({ calls, timers, settings: { closeWaitMs: 1_234 } });
  const seen = calls.next();
  const socket = openSocket(endpoint);
  const text = textUntilClosed(socket);
  socket.write(rawPost(acquire, endpoint.port));
  await seen;
  let closed = false;
  const closing = endpoint[Symbol.asyncDispose]().then(() => (closed = true));
  expect(pending.map(({ delayMs }) => delayMs)).toEqual([1_234]);
  expect(closed).toBe(false);
  for (const { run } of pending) run();
  await closing;
  expect(await text).toBe('');
});

test('closing twice is closing once', async () => {
  const endpoint = await openForTest();
  const first = endpoint[Symbol.asyncDispose]();
  expect(endpoint[Symbol.asyncDispose]()).toBe(first);
  await first;
});

test('an error body of a closing endpoint says so', async () => {
  const calls = scriptedCalls({ acquire: (_lockId, _request, { signal }) => rejectedByAbort(signal) });
  const endpoint = await openForTest({ calls });
  const seen = calls.next();
  const text = exchange(endpoint, rawPost(acquire, endpoint.port));
  await seen;
  await endpoint[Symbol.asyncDispose]();
  expect(firstAnswer(await text).json<ErrorBody>().message).toMatch(/shutting down.*try again/i);
});
