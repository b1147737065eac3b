/**
 * Goal: whatever a call ends with becomes the right answer: status and body of the table of codes, headers that say when
 * to come back, and nothing of the inside for what is not one of our errors.
 * Method: calls that reject; the routes in memory.
 */
import { describe, expect, test } from '@jest/globals';
import { CODES, type ErrorCode, LockkeeperError } from '../../../../src/api/codes.ts';
import type { Hold } from '../../../../src/api/responses.ts';
import { EXAMPLES } from '../../../../src/sidecar/endpoint/open-api-examples.ts';
import type { Log, LogFields } from '../../../../src/system/logger.ts';
import { silentLog } from '../../../../src/system/logger.ts';
import { inMemory, metricsPage, post } from '../../../support/local-endpoint.ts';
import { scriptedCalls } from '../../../support/scripted-calls.ts';

const acquire = post('/v1/locks/a:acquire');

let thrown: unknown;
const sendToFailing = await inMemory(scriptedCalls({ acquire: () => Promise.reject(thrown) }));

function answerTo(error: unknown) {
  thrown = error;
  return sendToFailing(acquire);
}

describe('errors', () => {
  test.each(Object.entries(CODES))('%s', async (code, { httpStatus, retryable }) => {
    const details = { lockId: 'a', namespace: 'shop', nested: { deep: [1] } };
    const answer = await answerTo(new LockkeeperError(code as ErrorCode, 'What to do.', details));
    expect(answer.status).toBe(httpStatus);
    expect(answer.json()).toEqual({ code, message: 'What to do.', details, retryable });
    expect(answer.headers['content-type']).toBe('application/json; charset=utf-8');
    expect(answer.headers['retry-after']).toBe(code === 'QUEUE_FULL' || code === 'UNAVAILABLE' ? '1' : undefined);
  });

  test.each([
    [undefined, '1'],
    [0, '1'],
    [999, '1'],
    [1_000, '1'],
    [1_001, '2'],
    [30_000, '30'],
    [-5, '1'],
    [Number.NaN, '1'],
    ['5000', '1'],
  ])('Retry-After for retryAfterMs %p is %s', async (retryAfterMs, seconds) => {
    for (const code of ['QUEUE_FULL', 'UNAVAILABLE'] as const) {
      expect((await answerTo(new LockkeeperError(code, 'Wait.', { retryAfterMs }))).headers['retry-after']).toBe(
        seconds,
      );
    }
  });

  test.each([new Error('password=hunter2'), 'password=hunter2', undefined, { code: 'password=hunter2' }])(
    '%p is INTERNAL and shows nothing',
    async (error) => {
      const answer = await answerTo(error);
      expect(answer.status).toBe(500);
      expect(answer.json()).toMatchObject({ code: 'INTERNAL', details: {}, retryable: false });
      expect(answer.text).not.toContain('hunter2');
    },
  );

  test('a call that throws instead of rejecting', async () => {
    const send = await inMemory(
      scriptedCalls({
        acquire: () => {
          throw new LockkeeperError('LOCK_HELD', 'Later.', {});
        },
      }),
    );
    expect((await send(acquire)).status).toBe(423);
  });

  test('internal errors are logged with their cause, one line a second at most', async () => {
    const lines: LogFields[] = [];
    const log: Log = { ...silentLog, error: (fields) => lines.push(fields) };
    let nowMs = 0;
    const cause = new Error('disk on fire');
    const clock = { monotonicMs: () => nowMs, wallMs: () => 0 };
    const send = await inMemory(scriptedCalls({ acquire: () => Promise.reject(cause) }), { log, clock });
    for (nowMs = 0; nowMs <= 1_000; nowMs += 100) await send(acquire);
    expect(lines).toEqual([
      { error: cause, operation: 'acquire', unlogged: 0 },
      { error: cause, operation: 'acquire', unlogged: 9 },
    ]);
  });

  test('expected outcomes are not logged', async () => {
    const lines: LogFields[] = [];
    const log: Log = { ...silentLog, error: (fields) => lines.push(fields), warn: (fields) => lines.push(fields) };
    const send = await inMemory(
      scriptedCalls({ acquire: () => Promise.reject(new LockkeeperError('LOCK_HELD', 'Later.')) }),
      { log },
    );
    await send(acquire);
    await send(post('/v1/locks/a:acquire', { x: 1 }));
    expect(lines).toEqual([]);
  });
});

test('fields that the schema does not name never leave', async () => {
  const hold = { ...EXAMPLES.hold, secret: 'x' } as Hold;
  const send = await inMemory(scriptedCalls({ acquire: async () => hold }));
  expect((await send(acquire)).json()).toEqual(EXAMPLES.hold);
});

test('an empty lock and a last page', async () => {
  const empty = {
    ...EXAMPLES.record,
    held: false,
    ownerId: null,
    fencingToken: null,
    expiresAt: null,
    metadata: {},
    holders: [],
    holderCount: 0,
  };
  const send = await inMemory(
    scriptedCalls({ inspect: async () => empty, list: async () => ({ items: [empty], continue: 'n' }) }),
  );
  expect((await send({ url: '/v1/locks/a' })).json()).toEqual(empty);
  expect((await send({ url: '/v1/locks' })).json()).toEqual({ items: [empty], continue: 'n' });
});

test('receivedAtMs is the clock at the receipt of the headers, not when the call is made', async () => {
  const readings = [100, 200, 300];
  const clock = { monotonicMs: () => readings.shift() ?? -1, wallMs: () => 0 };
  const calls = scriptedCalls();
  const send = await inMemory(calls, { clock });
  await send(acquire);
  expect(calls.seen[0]?.context.receivedAtMs).toBe(100);
});

describe('held, for probes', () => {
  test('409 when it is not', async () => {
    const error = new LockkeeperError('NOT_HELD', 'Acquire it again.', { reason: 'expired' });
    const send = await inMemory(scriptedCalls({ held: () => Promise.reject(error) }));
    expect((await send({ url: '/v1/locks/a:held?fencingToken=5' })).status).toBe(409);
  });
});

describe('operational routes', () => {
  test('healthz', async () => {
    const send = await inMemory(scriptedCalls({ notReadyReason: () => 'no operator' }));
    expect(await send({ url: '/healthz' })).toMatchObject({ status: 200, text: '{"status":"ok"}' });
  });

  test('readyz', async () => {
    const reasons: string[] = [];
    const send = await inMemory(scriptedCalls({ notReadyReason: () => reasons[0] }));
    expect(await send({ url: '/readyz' })).toMatchObject({ status: 200, text: '{"status":"ready"}' });
    const reason = 'no operator replica is connected';
    reasons.push(reason);
    const answer = await send({ url: '/readyz' });
    expect({ status: answer.status, retryAfter: answer.headers['retry-after'] }).toEqual({
      status: 503,
      retryAfter: '1',
    });
    expect(answer.json()).toMatchObject({ code: 'UNAVAILABLE', details: { reason }, retryable: true });
    expect(answer.json<{ message: string }>().message).toContain(reason);
  });

  test('metrics', async () => {
    const send = await inMemory(scriptedCalls());
    const answer = await send({ url: '/metrics' });
    expect({ status: answer.status, type: answer.headers['content-type'], text: answer.text }).toEqual({
      status: 200,
      type: metricsPage.contentType,
      text: metricsPage.body,
    });
  });

  test('metrics that cannot be made', async () => {
    const send = await inMemory(scriptedCalls(), { metrics: () => Promise.reject(new Error('no')) });
    expect((await send({ url: '/metrics' })).json()).toMatchObject({ code: 'INTERNAL' });
  });
});
