/**
 * Goal: what is not a request, or not a whole one in time, gets a coded answer and a closed connection, and costs nobody
 * else anything.
 * Method: raw bytes, and timeouts of a fraction of a second; the tests wait for the sockets, never for the clock.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { ErrorBody } from '../../src/api/codes.ts';
import { LIMITS } from '../../src/api/limits.ts';
import type { HoldEvent } from '../../src/api/responses.ts';
import type { Endpoint } from '../../src/sidecar/endpoint/endpoint.ts';
import { EXAMPLES } from '../../src/sidecar/endpoint/open-api-examples.ts';
import {
  exchange,
  firstAnswer,
  head,
  isErrorBody,
  openForTest,
  openSocket,
  rawPost,
  readerOf,
  textUntilClosed,
} from '../support/local-endpoint.ts';
import { type ScriptedCalls, rejectedByAbort, scriptedCalls } from '../support/scripted-calls.ts';

const settings = { headersTimeoutMs: 150, requestTimeoutMs: 300, timeoutCheckIntervalMs: 20, keepAliveTimeoutMs: 200 };
const acquire = '/v1/locks/a:acquire';

let endpoint: Endpoint;
let calls: ScriptedCalls;

beforeAll(async () => {
  calls = scriptedCalls({ acquire: (_lockId, _request, { signal }) => rejectedByAbort(signal) });
  endpoint = await openForTest({ calls, settings });
});
afterAll(() => endpoint[Symbol.asyncDispose]());

/** The one answer before the close; fails if anything follows it. */
async function soleAnswer(bytes: string | Buffer, where: Endpoint = endpoint) {
  const answer = firstAnswer(await exchange(where, bytes));
  expect(answer.rest).toBe('');
  expect(answer.headers).toMatchObject({ connection: 'close', 'content-type': 'application/json; charset=utf-8' });
  expect(isErrorBody(answer.json())).toBe(true);
  return {
    status: answer.status,
    code: answer.json<ErrorBody>().code,
    headers: answer.headers,
    body: answer.json<ErrorBody>(),
  };
}

describe('bytes that are no request', () => {
  test.each<[string, string | Buffer]>([
    ['words', 'hello there\r\n\r\n'],
    ['a method that does not exist', 'FROB / HTTP/1.1\r\nhost: localhost\r\n\r\n'],
    ['a version that does not exist', 'GET / HTTP/9.9\r\nhost: localhost\r\n\r\n'],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['TLS', Buffer.from('16030100c4010000c0030365b1', 'hex')],
    ['zeros', Buffer.alloc(64)],
    ['a header without a colon', 'GET / HTTP/1.1\r\nhost\r\n\r\n'],
    ['a space before the colon', 'GET / HTTP/1.1\r\nhost : localhost\r\n\r\n'],
    ['a control character in a header', 'GET / HTTP/1.1\r\nhost: a\u0001b\r\n\r\n'],
    ['a space in the path', 'GET /v1/locks/a b HTTP/1.1\r\nhost: localhost\r\n\r\n'],
    ['two lengths', rawPost(acquire, 1, '{}', ['content-length: 3'])],
    ['a length and chunks', rawPost(acquire, 1, '{}', ['transfer-encoding: chunked'])],
    ['a length that is no number', 'POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: x\r\n\r\n'],
  ])('%s', async (_what, bytes) => {
    expect(await soleAnswer(bytes)).toMatchObject({
      status: 400,
      code: 'INVALID_ARGUMENT',
      body: { details: { field: 'request' } },
    });
  });

  test('a broken chunk inside a body', async () => {
    const { port } = endpoint;
    const bytes = `${head(`POST ${acquire}`, port, ['content-type: application/json', 'transfer-encoding: chunked'])}zz\r\n`;
    expect(await soleAnswer(bytes)).toMatchObject({ status: 400, code: 'INVALID_ARGUMENT' });
  });

  test('headers that are too large are 431', async () => {
    const answer = await soleAnswer(head('GET /healthz', endpoint.port, [`x: ${'y'.repeat(17_000)}`]));
    expect(answer).toMatchObject({
      status: 431,
      code: 'PAYLOAD_TOO_LARGE',
      body: { details: { field: 'headers', limit: 16_384 } },
    });
  });

  test('CONNECT', async () => {
    const answer = await soleAnswer(`CONNECT example.com:443 HTTP/1.1\r\nhost: localhost:${endpoint.port}\r\n\r\n`);
    expect(answer).toMatchObject({ status: 405, code: 'METHOD_NOT_ALLOWED', headers: { allow: 'GET, HEAD, POST' } });
  });

  test.each(['http://localhost:1/v1/locks/a', 'https://example.com/', '*'])('the target %s', async (target) => {
    const method = target === '*' ? 'OPTIONS' : 'GET';
    const answer = firstAnswer(
      await exchange(endpoint, head(`${method} ${target}`, endpoint.port, ['connection: close'])),
    );
    expect(answer.status).toBe(400);
    expect(answer.json()).toMatchObject({ code: 'INVALID_ARGUMENT', details: { field: 'path' } });
  });

  test('an upgrade is not taken: the request is answered as it is', async () => {
    const bytes = head('GET /healthz', endpoint.port, ['connection: upgrade, close', 'upgrade: websocket']);
    expect(firstAnswer(await exchange(endpoint, bytes)).status).toBe(200);
  });
});

describe('expectations', () => {
  test('any but 100-continue', async () => {
    const answer = await soleAnswer(rawPost(acquire, endpoint.port, '{}', ['expect: the-best']));
    expect(answer).toMatchObject({ status: 400, code: 'INVALID_ARGUMENT' });
  });

  test('a body that would be too large is refused before it is sent', async () => {
    const length = `content-length: ${LIMITS.bodyBytesMax + 1}`;
    const bytes = head(`POST ${acquire}`, endpoint.port, [
      'content-type: application/json',
      length,
      'expect: 100-continue',
    ]);
    expect(await soleAnswer(bytes)).toMatchObject({ status: 413, code: 'PAYLOAD_TOO_LARGE' });
  });

  test('100-continue', async () => {
    const socket = openSocket(endpoint);
    const reader = readerOf(socket);
    const body = '{"fencingToken":"1"}';
    socket.write(
      head('POST /v1/locks/a:release', endpoint.port, [
        'content-type: application/json',
        `content-length: ${body.length}`,
        'expect: 100-continue',
      ]),
    );
    await reader.until('HTTP/1.1 100 Continue\r\n\r\n');
    socket.write(body);
    expect(firstAnswer(await reader.until('"released":true,"depth":0}')).status).toBe(200);
    socket.destroy();
  });
});

describe('slow callers', () => {
  test.each<[string, string]>([
    ['nothing at all', ''],
    ['half a request line', 'GET /heal'],
    ['headers without an end', 'GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: y\r\n'],
  ])('%s is answered 408 and closed', async (_what, bytes) => {
    // The time for the whole request is far away: it is the time for headers that ends this.
    await using strict = await openForTest({ settings: { ...settings, requestTimeoutMs: 60_000 } });
    const answer = await soleAnswer(bytes, strict);
    expect(answer).toMatchObject({
      status: 408,
      code: 'UNAVAILABLE',
      headers: { 'retry-after': '1' },
      body: { details: { reason: 'requestTimeout' } },
    });
  });

  test('one header line after another does not prolong it', async () => {
    const socket = openSocket(endpoint);
    const text = textUntilClosed(socket);
    socket.write(`GET /healthz HTTP/1.1\r\nhost: localhost:${endpoint.port}\r\n`);
    // Each line is sent when the one before is written: as many as the time allows, never the last one.
    const more = () => {
      if (!socket.destroyed && socket.writable) socket.write('x: y\r\n', () => setImmediate(more));
    };
    more();
    expect([408, 431]).toContain(firstAnswer(await text).status);
  });

  test('half a body is answered 408 and closed, and no call is made', async () => {
    const before = calls.seen.length;
    const answer = await soleAnswer(
      rawPost(acquire, endpoint.port, '{}').replace('content-length: 2', 'content-length: 20'),
    );
    expect(answer).toMatchObject({ status: 408, code: 'UNAVAILABLE' });
    expect(calls.seen.length).toBe(before);
  });

  test('a connection without a request is closed after its time, in silence', async () => {
    const socket = openSocket(endpoint);
    const text = textUntilClosed(socket);
    socket.write(head('GET /healthz', endpoint.port));
    const answer = firstAnswer(await text);
    expect({ status: answer.status, rest: answer.rest }).toEqual({ status: 200, rest: '' });
  });

  test('a blocking acquire and a stream outlast every one of these times', async () => {
    await using patient = await openForTest({
      settings,
      calls: scriptedCalls({
        acquire: (_lockId, _request, { signal }) => rejectedByAbort(signal),
        async *hold(_lockId, _request, { signal }): AsyncGenerator<HoldEvent> {
          yield EXAMPLES.granted;
          await rejectedByAbort(signal);
        },
      }),
    });
    const blocking = openSocket(patient);
    const streaming = openSocket(patient);
    let closed = 0;
    for (const socket of [blocking, streaming]) socket.on('close', () => (closed += 1));
    blocking.write(rawPost(acquire, patient.port));
    streaming.write(rawPost('/v1/locks/a:hold', patient.port));
    await readerOf(streaming).until('granted');
    // Three callers in a row that are cut off by the longest of the times: all of them have passed, several times over.
    for (let round = 0; round < 3; round += 1) {
      await exchange(patient, rawPost(acquire, patient.port, '{}').replace('content-length: 2', 'content-length: 20'));
    }
    expect(closed).toBe(0);
    blocking.destroy();
    streaming.destroy();
  });
});

test('garbage behind a stream cuts the connection instead of writing into the stream', async () => {
  await using streaming = await openForTest({
    calls: scriptedCalls({
      async *hold(_lockId, _request, { signal }): AsyncGenerator<HoldEvent> {
        yield EXAMPLES.granted;
        await rejectedByAbort(signal);
      },
    }),
  });
  const socket = openSocket(streaming);
  const reader = readerOf(socket);
  const text = textUntilClosed(socket);
  socket.write(rawPost('/v1/locks/a:hold', streaming.port));
  await reader.until('granted');
  socket.write('garbage\r\n\r\n');
  expect((await text).match(/HTTP\/1\.1/g)).toEqual(['HTTP/1.1']);
});

test('an answer to garbage ends in order, without a reset, though more garbage is on its way', async () => {
  const socket = openSocket(endpoint);
  const events: string[] = [];
  for (const event of ['end', 'error']) socket.on(event, () => events.push(event));
  const text = textUntilClosed(socket);
  socket.write(`hello there\r\n${'x'.repeat(3_000_000)}`);
  expect(firstAnswer(await text).json()).toMatchObject({ code: 'INVALID_ARGUMENT' });
  expect(events[0]).toBe('end');
});

test('an answer is read whole though the caller sends far more than is taken', async () => {
  const { port } = endpoint;
  const large = 'x'.repeat(1_000_000);
  const answer = firstAnswer(await exchange(endpoint, rawPost(acquire, port, large, ['connection: close'])));
  expect({ status: answer.status, code: answer.json<ErrorBody>().code }).toEqual({
    status: 413,
    code: 'PAYLOAD_TOO_LARGE',
  });
  const chunked = `${head(`POST ${acquire}`, port, ['content-type: application/json', 'transfer-encoding: chunked'])}f4240\r\n${large}\r\n0\r\n\r\n`;
  const socket = openSocket(endpoint);
  const reader = readerOf(socket);
  socket.write(chunked);
  expect(await reader.until('"retryable":false}')).toContain('PAYLOAD_TOO_LARGE');
  // The rest was thrown away, and the connection serves on.
  socket.write(head('GET /healthz', port));
  await reader.until('{"status":"ok"}');
  socket.destroy();
});
