/**
 * Goal: a call learns that its caller is gone, and only then: a queued acquire must leave the queue with its caller, and
 * a grant that may have been read must not be taken back.
 * Method: real sockets that are closed at chosen moments; the signal that the call was given.
 */
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { LockkeeperError } from '../../src/api/codes.ts';
import type { Hold } from '../../src/api/responses.ts';
import type { CallContext } from '../../src/sidecar/calls.ts';
import type { Endpoint } from '../../src/sidecar/endpoint/endpoint.ts';
import { EXAMPLES } from '../../src/sidecar/endpoint/open-api-examples.ts';
import { exchange, openForTest, openSocket, rawPost, send, readerOf, textOf } from '../support/local-endpoint.ts';
import { type ScriptedCalls, rejectedByAbort, scriptedCalls } from '../support/scripted-calls.ts';

let calls: ScriptedCalls;
let endpoint: Endpoint;
let acquire: (context: CallContext) => Promise<Hold>;

beforeEach(async () => {
  acquire = ({ signal }) => rejectedByAbort(signal);
  calls = scriptedCalls({ acquire: (_lockId, _request, context) => acquire(context) });
  endpoint = await openForTest({ calls });
});
afterEach(() => endpoint[Symbol.asyncDispose]());

const path = '/v1/locks/a:acquire';

/** Settles with the reason of the abort. */
async function abortOf(signal: AbortSignal): Promise<unknown> {
  if (!signal.aborted) await once(signal, 'abort');
  return signal.reason;
}

const callerGone = { code: 'UNAVAILABLE', details: { reason: 'callerGone' } };

describe('aborts', () => {
  test('when the caller closes while its acquire is queued', async () => {
    const socket = openSocket(endpoint);
    const seen = calls.next();
    socket.write(rawPost(path, endpoint.port));
    const { signal } = (await seen).context;
    expect(signal.aborted).toBe(false);
    socket.destroy();
    expect(await abortOf(signal)).toBeInstanceOf(LockkeeperError);
    expect(signal.reason).toMatchObject(callerGone);
  });

  test('when the caller only closes its half, as a pipe into nc does', async () => {
    const socket = openSocket(endpoint);
    const seen = calls.next();
    socket.end(rawPost(path, endpoint.port));
    const { signal } = (await seen).context;
    expect(await abortOf(signal)).toMatchObject(callerGone);
    socket.destroy();
  });

  test('for every request that a caller has pipelined', async () => {
    const socket = openSocket(endpoint);
    let seen = calls.next();
    socket.write(rawPost(path, endpoint.port));
    const first = await seen;
    seen = calls.next();
    socket.write(rawPost(path, endpoint.port));
    const second = await seen;
    socket.destroy();
    for (const { context } of [first, second]) expect(await abortOf(context.signal)).toMatchObject(callerGone);
  });

  test('for an answer that waits behind an earlier one of its connection', async () => {
    const socket = openSocket(endpoint);
    let seen = calls.next();
    socket.write(rawPost(path, endpoint.port));
    const first = await seen;
    acquire = async () => EXAMPLES.hold;
    seen = calls.next();
    socket.write(rawPost(path, endpoint.port));
    const second = await seen;
    // The second is granted, but its answer cannot be written before the first: nobody has read it.
    await exchange(endpoint, rawPost(path, endpoint.port, '{}', ['connection: close']));
    socket.destroy();
    for (const { context } of [first, second]) expect(await abortOf(context.signal)).toMatchObject(callerGone);
  });

  test('also for somebody who asks for the signal only afterwards', async () => {
    const contexts: CallContext[] = [];
    let release = () => {};
    acquire = (context) => {
      contexts.push(context);
      return new Promise((resolve) => {
        release = () => resolve(EXAMPLES.hold);
      });
    };
    const watched = calls.next();
    const socket = openSocket(endpoint);
    socket.write(rawPost(path, endpoint.port));
    await watched;
    socket.destroy();
    // A second connection is closed after the first: when its close is known, so is that of the first.
    acquire = ({ signal }) => rejectedByAbort(signal);
    const other = calls.next();
    const otherSocket = openSocket(endpoint);
    otherSocket.write(rawPost(path, endpoint.port));
    const { signal } = (await other).context;
    otherSocket.destroy();
    await abortOf(signal);
    expect(contexts[0]?.signal.aborted).toBe(true);
    release();
  });
});

describe('does not abort', () => {
  test('when a request is over and its connection stays open', async () => {
    acquire = async () => EXAMPLES.hold;
    const socket = openSocket(endpoint);
    const reader = readerOf(socket);
    for (let round = 0; round < 3; round += 1) {
      const seen = calls.next();
      socket.write(rawPost(path, endpoint.port));
      await reader.until(EXAMPLES.hold.expiresAt);
      expect((await seen).context.signal.aborted).toBe(false);
    }
    socket.destroy();
  });

  test('when the connection closes after the answer was handed to the transport', async () => {
    acquire = async () => EXAMPLES.hold;
    const seen = calls.next();
    const { response } = send(endpoint, { path });
    await textOf(await response);
    const { signal } = (await seen).context;
    // The connection was not kept alive; another exchange lets its close be seen.
    await exchange(endpoint, rawPost(path, endpoint.port, '{}', ['connection: close']));
    expect(signal.aborted).toBe(false);
  });

  test('when the connection closes while the answer, long handed over, is still on its way', async () => {
    const items = Array.from({ length: 20 }, () => ({ ...EXAMPLES.record, metadata: { k: 'v'.repeat(1_000_000) } }));
    const largeCalls = scriptedCalls({ list: async () => ({ items }) });
    await using large = await openForTest({ calls: largeCalls });
    const seen = largeCalls.next();
    const socket = openSocket(large);
    socket.write(`GET /v1/locks HTTP/1.1\r\nhost: localhost:${large.port}\r\n\r\n`);
    const { signal } = (await seen).context;
    // The head of the answer has come, so it was handed over; far more than the kernel buffers is still to be sent.
    await once(socket, 'data');
    socket.destroy();
    await exchange(large, rawPost(path, large.port, '{}', ['connection: close']));
    expect(signal.aborted).toBe(false);
  });

  test('when the body has been read to its end, long before the answer', async () => {
    const socket = openSocket(endpoint);
    const seen = calls.next();
    socket.write(rawPost(path, endpoint.port));
    const { signal } = (await seen).context;
    await exchange(
      endpoint,
      rawPost('/v1/locks/b:release', endpoint.port, '{"fencingToken":"1"}', ['connection: close']),
    );
    expect(signal.aborted).toBe(false);
    socket.destroy();
    await abortOf(signal);
  });

  test('a call that answers while its caller leaves: whatever happens, the endpoint serves on', async () => {
    for (let round = 0; round < 50; round += 1) {
      let answer = () => {};
      acquire = () =>
        new Promise((resolve) => {
          answer = () => resolve(EXAMPLES.hold);
        });
      const seen = calls.next();
      const socket = openSocket(endpoint);
      socket.write(rawPost(path, endpoint.port));
      await seen;
      socket.destroy();
      answer();
    }
    acquire = async () => EXAMPLES.hold;
    const text = await exchange(endpoint, rawPost(path, endpoint.port, '{}', ['connection: close']));
    expect(text).toMatch(/^HTTP\/1\.1 200 /);
  });
});
