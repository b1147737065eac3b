/**
 * Goal: a `:hold` stream is lines that leave at once, ends with its caller or its events, tells the calls about either, and
 * costs one buffer however slowly it is read.
 * Method: real sockets and an event source that the test drives step by step.
 */
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { LockkeeperError } from '../../src/api/codes.ts';
import type { HoldEvent } from '../../src/api/responses.ts';
import type { CallContext } from '../../src/sidecar/calls.ts';
import type { Endpoint } from '../../src/sidecar/endpoint/endpoint.ts';
import { EXAMPLES } from '../../src/sidecar/endpoint/open-api-examples.ts';
import { openForTest, openSocket, rawPost, send, readerOf, textOf } from '../support/local-endpoint.ts';
import { scriptedCalls } from '../support/scripted-calls.ts';

const path = '/v1/locks/a:hold';
const queued: HoldEvent = { event: 'queued', position: 3 };
const ping: HoldEvent = { event: 'ping', validForMs: 14_000 };
const lost: HoldEvent = { event: 'lost', code: 'NOT_HELD', message: 'Gone.', details: { reason: 'expired' } };

let endpoint: Endpoint;
let hold: (context: CallContext) => AsyncIterable<HoldEvent>;

beforeEach(async () => {
  endpoint = await openForTest({ calls: scriptedCalls({ hold: (_lockId, _request, context) => hold(context) }) });
});
afterEach(() => endpoint[Symbol.asyncDispose]());

/** A gate that the test opens. */
function gate() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = () => resolve();
  });
  return { opened, open };
}

/** Events of which the first is an error. */
function failing(error: () => Promise<Error>): AsyncIterable<HoldEvent> {
  return {
    [Symbol.asyncIterator]: () => ({
      async next() {
        throw await error();
      },
    }),
  };
}

describe('lines', () => {
  test('each leaves when it comes', async () => {
    const gates = [gate(), gate(), gate()];
    hold = async function* () {
      for (const [index, event] of [queued, EXAMPLES.granted, ping].entries()) {
        await gates[index]?.opened;
        yield event;
      }
    };
    const socket = openSocket(endpoint);
    const reader = readerOf(socket);
    const texts: string[] = [];
    socket.write(rawPost(path, endpoint.port));
    for (const [index, event] of [queued, EXAMPLES.granted, ping].entries()) {
      gates[index]?.open();
      texts.push(await reader.until(`${JSON.stringify(event)}\n`));
    }
    expect(texts[0]).toMatch(/^HTTP\/1\.1 200 [^]*content-type: application\/x-ndjson\r\n/);
    // The events are over: the last chunk ends the answer, the connection stays usable.
    await reader.until('0\r\n\r\n');
    socket.write(`GET /healthz HTTP/1.1\r\nhost: localhost:${endpoint.port}\r\n\r\n`);
    await reader.until('{"status":"ok"}');
    socket.destroy();
  });

  test('an error before the first event is an ordinary answer', async () => {
    hold = () => failing(async () => new LockkeeperError('LOCK_NOT_FOUND', 'Create it.', { lockId: 'a' }));
    const response = await send(endpoint, { path }).response;
    expect(response.statusCode).toBe(404);
    expect(JSON.parse(await textOf(response))).toMatchObject({ code: 'LOCK_NOT_FOUND', details: { lockId: 'a' } });
  });

  test('no event at all is INTERNAL', async () => {
    hold = async function* () {};
    const response = await send(endpoint, { path }).response;
    expect(response.statusCode).toBe(500);
    expect(JSON.parse(await textOf(response))).toMatchObject({ code: 'INTERNAL' });
  });

  test.each([
    [
      new LockkeeperError('UNAVAILABLE', 'Wait.', { reason: 'frozen' }),
      { code: 'UNAVAILABLE', details: { reason: 'frozen' } },
    ],
    [new Error('secret'), { code: 'INTERNAL', details: {} }],
  ])('an error after it is the last event: %s', async (error, expected) => {
    hold = async function* () {
      yield EXAMPLES.granted;
      throw error;
    };
    const response = await send(endpoint, { path }).response;
    const lines = (await textOf(response))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as HoldEvent);
    expect(lines).toEqual([
      EXAMPLES.granted,
      { event: 'lost', message: expect.not.stringContaining('secret'), ...expected },
    ]);
  });

  test('HTTP/1.0 gets the same lines until the connection closes', async () => {
    hold = async function* () {
      yield EXAMPLES.granted;
      yield lost;
    };
    const socket = openSocket(endpoint);
    const text = readerOf(socket).until(`${JSON.stringify(lost)}\n`);
    socket.write(rawPost(path, endpoint.port).replace('HTTP/1.1', 'HTTP/1.0'));
    expect(await text).not.toContain('chunked');
    await once(socket, 'close');
  });
});

describe('the caller leaves', () => {
  test('the signal aborts and the events are told to end', async () => {
    let returned = false;
    const aborted = gate();
    hold = async function* ({ signal }) {
      try {
        yield EXAMPLES.granted;
        await once(signal, 'abort');
        aborted.open();
        yield lost;
      } finally {
        returned = true;
      }
    };
    const socket = openSocket(endpoint);
    const granted = readerOf(socket).until('granted');
    socket.write(rawPost(path, endpoint.port));
    await granted;
    socket.destroy();
    await aborted.opened;
    await endpoint[Symbol.asyncDispose]();
    expect(returned).toBe(true);
  });

  test('before the first event', async () => {
    const reason = gate();
    const reasons: unknown[] = [];
    hold = ({ signal }) =>
      failing(async () => {
        await once(signal, 'abort');
        reasons.push(signal.reason);
        reason.open();
        return signal.reason as Error;
      });
    const socket = openSocket(endpoint);
    socket.write(rawPost(path, endpoint.port), () => socket.destroy());
    await reason.opened;
    expect(reasons).toMatchObject([{ code: 'UNAVAILABLE', details: { reason: 'callerGone' } }]);
  });
});

/** Large events without end, which count how often they are asked for. */
class EndlessEvents implements AsyncIterableIterator<HoldEvent> {
  static readonly bytes = 60_000;
  readonly #event: HoldEvent = {
    event: 'granted',
    hold: { ...EXAMPLES.hold, metadata: { k: 'v'.repeat(EndlessEvents.bytes) } },
  };
  readonly ended = gate();
  asked = 0;

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<HoldEvent>> {
    this.asked += 1;
    return { done: false, value: this.#event };
  }

  async return(): Promise<IteratorResult<HoldEvent>> {
    this.ended.open();
    return { done: true, value: undefined };
  }
}

test('a caller that does not read holds the events back', async () => {
  const events = new EndlessEvents();
  hold = () => events;
  const socket = openSocket(endpoint);
  socket.pause();
  socket.write(rawPost(path, endpoint.port));
  // Requests of others go on meanwhile; once nothing more is asked for over many of them, the stream stands still.
  let before = -1;
  do {
    before = events.asked;
    for (let round = 0; round < 20; round += 1) {
      await textOf(await send(endpoint, { method: 'GET', path: '/healthz' }).response);
    }
  } while (events.asked !== before || events.asked === 0);
  // Kernel buffers of a loopback connection take some MB; without backpressure it would be all that memory can hold.
  expect(before * EndlessEvents.bytes).toBeLessThan(64 * 1_048_576);
  socket.resume();
  while (events.asked <= before) await once(socket, 'data');
  expect(events.asked).toBeGreaterThan(before);
  socket.destroy();
  await events.ended.opened;
});
