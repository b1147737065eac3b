/**
 * Goal: reads are repeated within their time and with patience, writes never; what waits is bounded. Method: connections that
 * answer as the test says, virtual time.
 */
import { describe, expect, test } from '@jest/globals';
import type { ApiRequest } from '../../../../src/kube/cluster/connections.ts';
import type { Exchange, ExchangeListener } from '../../../../src/kube/cluster/exchange.ts';
import { RateLimit } from '../../../../src/kube/cluster/rate-limit.ts';
import { Requester } from '../../../../src/kube/cluster/requester.ts';
import { StoreError } from '../../../../src/kube/lease-store.ts';
import { seededRandom } from '../../../../src/system/random.ts';
import { VirtualTime } from '../../../../src/system/virtual.ts';

const get = { write: false, what: 'get it', request: { method: 'GET', path: '/it' } } as const;
const put = { write: true, what: 'put it', request: { method: 'PUT', path: '/it', body: '{}' } } as const;

/** What one attempt meets. Nothing: no answer ever comes. */
type Script = (listener: ExchangeListener) => void;

const ok: Script = (listener) => {
  listener.onHead(200, {});
  listener.onData(Buffer.from('{"a":1}'));
  listener.onEnd();
};
const refusing =
  (status: number, headers = {}): Script =>
  (listener) => {
    listener.onHead(status, headers);
    listener.onEnd();
  };
const silent: Script = () => undefined;

function world(scripts: readonly Script[], options: { rate?: number } = {}) {
  const time = new VirtualTime();
  const sentAtMs: number[] = [];
  const connections = {
    answers: 0,
    closed: false,
    retired: 0,
    retire() {
      this.retired++;
    },
    async send(_request: ApiRequest, listener: ExchangeListener): Promise<Exchange> {
      const script = scripts[Math.min(sentAtMs.length, scripts.length - 1)] as Script;
      sentAtMs.push(time.monotonicMs());
      time.soon(() => script(listener));
      return { sent: true, abort: () => undefined } as Exchange;
    },
  };
  const rateLimit =
    options.rate === undefined
      ? undefined
      : new RateLimit({ requestsPerSecondMax: options.rate, burst: 1, clock: time, timers: time });
  const requester = new Requester({
    connections,
    clock: time,
    timers: time,
    random: seededRandom(3),
    rateLimit,
    writeTimeoutMs: 5_000,
    readTimeoutMs: 9_000,
  });
  /** Lets time pass until the call is over; how it ended, and when. */
  const end = async (call: Promise<unknown>) => {
    const ended: { readonly result: unknown; readonly atMs: number }[] = [];
    void call.catch((error: unknown) => error).then((result) => ended.push({ result, atMs: time.monotonicMs() }));
    for (let steps = 0; ended.length === 0 && steps < 10_000; steps++) await time.runBy(10);
    const [first] = ended;
    if (first === undefined) throw new Error('the call never ended');
    return first;
  };
  return { time, requester, connections, sentAtMs, end };
}

describe('a read', () => {
  test('is repeated after growing pauses that differ, until its time is over', async () => {
    const { requester, sentAtMs, end } = world([refusing(500)]);
    const { result, atMs } = await end(requester.read(get));
    expect(result).toMatchObject({ outcome: 'rejected', retryable: true, httpStatus: 500 });
    expect(atMs).toBeLessThanOrEqual(9_000);
    expect(sentAtMs.length).toBeGreaterThan(8);
    expect(sentAtMs.length).toBeLessThan(25);
    const pauses = sentAtMs.slice(1).map((at, index) => at - (sentAtMs[index] as number));
    expect(pauses[0]).toBeLessThan(60);
    expect(Math.max(...pauses)).toBeGreaterThan(500);
    expect(new Set(pauses.slice(-4)).size).toBeGreaterThan(1);
  });

  test('heeds Retry-After, and does not wait for what comes too late', async () => {
    const patient = world([refusing(429, { 'retry-after': '4' }), ok]);
    expect((await patient.end(patient.requester.read(get))).result).toMatchObject({ value: { a: 1 } });
    expect(patient.sentAtMs[1]).toBeGreaterThanOrEqual(4_000);
    const late = world([refusing(429, { 'retry-after': '40' }), ok]);
    const { result, atMs } = await late.end(late.requester.read(get));
    expect(result).toMatchObject({ httpStatus: 429, retryAfterMs: 40_000 });
    expect(atMs).toBeLessThan(100);
  });

  test('without an answer leaves time for another attempt, over new connections', async () => {
    const { requester, connections, sentAtMs, end } = world([silent, ok]);
    expect((await end(requester.read(get))).result).toMatchObject({ value: { a: 1 } });
    expect(sentAtMs[1]).toBeGreaterThanOrEqual(3_000);
    expect(sentAtMs[1]).toBeLessThan(3_200);
    expect(connections.retired).toBe(1);
  });

  test('is not repeated once its caller has left', async () => {
    const { time, requester, sentAtMs, end } = world([refusing(500)]);
    const abort = new AbortController();
    const call = requester.read({ ...get, signal: abort.signal });
    time.after(25, () => abort.abort(new Error('enough')));
    const { result } = await end(call);
    expect(result).toMatchObject({ outcome: 'rejected' });
    const tries = sentAtMs.length;
    await time.runBy(10_000);
    expect(sentAtMs).toHaveLength(tries);
  });
});

describe('a write', () => {
  test.each<[string, Script, string]>([
    ['refused for now', refusing(429), 'rejected'],
    ['failed', refusing(500), 'unknown'],
    ['broken off', (listener) => listener.onFailure(new Error('reset'), true), 'unknown'],
    ['never sent', (listener) => listener.onFailure(new Error('refused'), false), 'rejected'],
  ])('that was %s is not repeated', async (_what, script, outcome) => {
    const { time, requester, sentAtMs, end } = world([script, ok]);
    expect((await end(requester.write(put))).result).toMatchObject({ outcome });
    await time.runBy(20_000);
    expect(sentAtMs).toHaveLength(1);
  });

  test('without an answer is unknown at the end of its time; other connections are trusted if they answered', async () => {
    const { time, requester, connections, end } = world([silent]);
    const { result, atMs } = await end(requester.write(put));
    expect(result).toMatchObject({ outcome: 'unknown' });
    expect(atMs).toBeGreaterThanOrEqual(5_000);
    expect(atMs).toBeLessThan(5_020);
    expect(connections.retired).toBe(1);
    time.after(1_000, () => connections.answers++);
    await end(requester.write(put));
    expect(connections.retired).toBe(1);
  });

  test('that does not get its turn in time was not sent, and its wait counts', async () => {
    const { requester, sentAtMs, end } = world([silent], { rate: 0.1 });
    const first = requester.write(put);
    const { result, atMs } = await end(requester.write(put));
    expect(result).toMatchObject({ outcome: 'rejected', retryable: true });
    expect(atMs).toBeLessThan(5_020);
    await end(first);
    expect(sentAtMs).toHaveLength(1);
  });
});

test('more calls than may be on their way are refused unsent', async () => {
  const { requester, time, sentAtMs } = world([silent]);
  const outcomes: string[] = [];
  for (let index = 0; index < 5_001; index++)
    requester.write(put).catch((error: StoreError) => outcomes.push(`${error.outcome} ${error.retryable}`));
  await time.runBy(1);
  expect(sentAtMs).toHaveLength(5_000);
  expect(outcomes).toEqual(['rejected true']);
});

test('every failure is a StoreError', async () => {
  const { requester, connections, end } = world([ok]);
  connections.send = () => Promise.reject(new Error('the plugin failed'));
  const { result } = await end(requester.write(put));
  expect(result).toBeInstanceOf(StoreError);
  expect(result).toMatchObject({ outcome: 'rejected', retryable: true });
  expect((result as Error).message).toContain('the plugin failed');
});
