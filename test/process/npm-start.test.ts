/**
 * Goal: what a newcomer does by hand in the first ten minutes works, over real HTTP, against `npm start` as a process. Method:
 * one process for the file; every test uses locks of its own.
 */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DevProcess } from '../support/dev-process.ts';

let server: DevProcess;
beforeAll(async () => {
  server = await DevProcess.start(['--apply', 'examples/locks.yaml']);
});
afterAll(async () => {
  await server?.kill();
});

const acquire = (lock: string, body: object = {}) => server.post(`/v1/locks/${lock}:acquire`, body);
const release = (lock: string, fencingToken: unknown, ownerId?: string) =>
  server.post(`/v1/locks/${lock}:release`, { fencingToken, ...(ownerId === undefined ? {} : { ownerId }) });

/** Resolves when `count` requests stand in the lock's queue. */
async function queued(lock: string, count: number): Promise<void> {
  while (((await server.get(`/v1/locks/${lock}`)).body['waiterCount'] as number) < count);
}

describe('paths', () => {
  it('serves the same calls with and without /v1, on both loopback addresses', async () => {
    const plain = await server.post('/locks/paths:acquire', { ownerId: 'alice' });
    expect(plain).toMatchObject({ status: 200, body: { lockId: 'paths', ownerId: 'alice', namespace: 'default' } });
    const versioned = await server.get('/v1/locks/paths');
    expect(versioned.body['fencingToken']).toBe(plain.body['fencingToken']);
    // Not every machine has an IPv6 loopback; where there is one, it answers the same.
    const other = await fetch(`http://[::1]:${server.port}/locks/paths`).catch(() => undefined);
    expect(other?.status ?? 200).toBe(200);
  });

  it('takes the slash of a pool key plain or encoded, as one lock', async () => {
    const { body } = await acquire('payments/order-42', { ownerId: 'alice' });
    expect(body['lockId']).toBe('payments/order-42');
    expect(await acquire('payments%2Forder-42', { ownerId: 'bob' })).toMatchObject({
      status: 423,
      body: { code: 'LOCK_HELD' },
    });
    expect((await release('payments%2Forder-42', body['fencingToken'])).body).toEqual({ released: true, depth: 0 });
  });
});

describe('excluding', () => {
  it('two acquires without an ownerId exclude each other', async () => {
    const first = await acquire('anonymous');
    const second = await acquire('anonymous');
    expect([first.status, second.status]).toEqual([200, 423]);
    expect(second.body).toMatchObject({
      retryable: true,
      details: { holders: [{ ownerId: first.body['ownerId'] }], holderCount: 1 },
    });
  });

  it('a wait that is too short ends as ACQUIRE_TIMEOUT', async () => {
    await acquire('timeout');
    expect(await acquire('timeout', { timeoutMs: 50 })).toMatchObject({
      status: 423,
      body: { code: 'ACQUIRE_TIMEOUT' },
    });
  });

  it('the end of a time to live grants the next waiter with a higher token', async () => {
    const first = await acquire('expiry', { ttlMs: 1_000 });
    const second = await acquire('expiry', { timeoutMs: 10_000 });
    expect(BigInt(second.body['fencingToken'] as string)).toBeGreaterThan(BigInt(first.body['fencingToken'] as string));
    expect(await server.post('/v1/locks/expiry:renew', { fencingToken: first.body['fencingToken'] })).toMatchObject({
      status: 409,
      body: { code: 'NOT_HELD' },
    });
  });

  it('later readers do not overtake a queued writer', async () => {
    const readers = await Promise.all([acquire('book', { mode: 'shared' }), acquire('book', { mode: 'shared' })]);
    expect(readers.map(({ status }) => status)).toEqual([200, 200]);
    const order: string[] = [];
    const writer = acquire('book', { timeoutMs: 10_000 }).then((answer) => {
      order.push('writer');
      return answer;
    });
    await queued('book', 1);
    expect(await acquire('book', { mode: 'shared' })).toMatchObject({ status: 423 });
    const late = acquire('book', { mode: 'shared', timeoutMs: 10_000 }).then(() => order.push('reader'));
    await queued('book', 2);
    for (const { body } of readers) await release('book', body['fencingToken']);
    await release('book', (await writer).body['fencingToken']);
    await late;
    expect(order).toEqual(['writer', 'reader']);
  });

  it('the same owner re-enters: same token, depth 2, freed at the second release', async () => {
    const first = await acquire('reentrant', { ownerId: 'alice' });
    const second = await acquire('reentrant', { ownerId: 'alice' });
    expect(second.body).toMatchObject({ fencingToken: first.body['fencingToken'], depth: 2 });
    expect((await release('reentrant', first.body['fencingToken'])).body).toEqual({ released: false, depth: 1 });
    expect(await acquire('reentrant', { ownerId: 'bob' })).toMatchObject({ status: 423 });
    expect((await release('reentrant', first.body['fencingToken'])).body).toEqual({ released: true, depth: 0 });
    expect(await acquire('reentrant', { ownerId: 'bob' })).toMatchObject({ status: 200 });
  });

  it('three permits let three in, each with a token of its own', async () => {
    const builds = await Promise.all([acquire('builds'), acquire('builds'), acquire('builds')]);
    expect(new Set(builds.map(({ body }) => body['fencingToken'])).size).toBe(3);
    expect(await acquire('builds')).toMatchObject({ status: 423, body: { details: { holderCount: 3 } } });
    await release('builds', builds[1]?.body['fencingToken']);
    expect(await acquire('builds')).toMatchObject({ status: 200 });
  });
});

describe(':hold', () => {
  it('frees the lock when its connection is cut', async () => {
    const abort = new AbortController();
    const response = await fetch(server.url('/v1/locks/stream:hold'), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"ttlMs":60000}',
      signal: abort.signal,
    });
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    const first = JSON.parse(new TextDecoder().decode((await reader.read()).value)) as { event: string };
    expect(first.event).toBe('granted');
    expect(await acquire('stream')).toMatchObject({ status: 423 });
    const next = acquire('stream', { timeoutMs: 10_000 });
    await queued('stream', 1);
    abort.abort();
    expect(await next).toMatchObject({ status: 200 });
  });
});

describe('administration', () => {
  it('force release ends the hold, raises the token, and the holder is told', async () => {
    const held = await acquire('stuck', { ownerId: 'alice' });
    expect((await server.post('/v1/locks/stuck:forceRelease', { reason: 'its pod hangs' })).body).toEqual({
      released: 1,
    });
    expect(await server.post('/v1/locks/stuck:renew', { fencingToken: held.body['fencingToken'] })).toMatchObject({
      status: 409,
      body: { code: 'NOT_HELD' },
    });
    const next = await acquire('stuck');
    expect(BigInt(next.body['fencingToken'] as string)).toBeGreaterThan(
      BigInt(held.body['fencingToken'] as string) + 1n,
    );
  });

  it('lists by prefix, page by page', async () => {
    for (const name of ['list-a', 'list-b', 'list-c']) await acquire(name);
    const first = await server.get('/v1/locks?prefix=list-&limit=2');
    expect(first.body['items'].map((item: { lockId: string }) => item.lockId)).toEqual(['list-a', 'list-b']);
    const second = await server.get(`/v1/locks?prefix=list-&limit=2&continue=${first.body['continue']}`);
    expect(second.body['items'].map((item: { lockId: string }) => item.lockId)).toEqual(['list-c']);
  });
});

describe('acquireAll', () => {
  it('in opposite orders never deadlocks', async () => {
    const take = async (ids: string[], ownerId: string) => {
      for (let round = 0; round < 25; round++) {
        const taken = await server.post('/v1/locks:acquireAll', { ids, ownerId, timeoutMs: 20_000 });
        expect(taken.status).toBe(200);
        const holds = taken.body['holds'].map((hold: { lockId: string; fencingToken: string }) => ({
          lockId: hold.lockId,
          fencingToken: hold.fencingToken,
        }));
        expect((await server.post('/v1/locks:releaseAll', { holds, ownerId })).status).toBe(200);
      }
    };
    const ids = ['all-a', 'all-b', 'payments/all-c'];
    await Promise.all([take(ids, 'one'), take([...ids].reverse(), 'two'), take(ids, 'three')]);
  });
});

describe('metrics', () => {
  it('contention, queue length and expired leases move when they should, and only then', async () => {
    // A process of its own: nothing else may expire meanwhile.
    await using quiet = await DevProcess.start();
    const take = (body: object) => quiet.post('/v1/locks/measured:acquire', body);
    const read = async () => ({
      waits: await quiet.metric('lockkeeper_lock_waits_total'),
      waited: await quiet.metric('lockkeeper_lock_wait_seconds_count'),
      queue: await quiet.metric('lockkeeper_queue_length'),
      expired: await quiet.metric('lockkeeper_expired_leases_total'),
    });
    const before = await read();
    const first = await take({ ttlMs: 60_000 });
    expect(await read()).toEqual(before);
    const second = take({ timeoutMs: 10_000, ttlMs: 1_000 });
    while (((await quiet.get('/v1/locks/measured')).body['waiterCount'] as number) < 1);
    expect(await read()).toEqual({ ...before, waits: before.waits + 1, queue: before.queue + 1 });
    await quiet.post('/v1/locks/measured:release', { fencingToken: first.body['fencingToken'] });
    await second;
    expect(await read()).toEqual({ ...before, waits: before.waits + 1, waited: before.waited + 1 });
    while ((await quiet.metric('lockkeeper_expired_leases_total')) === before.expired);
    expect(await read()).toEqual({
      ...before,
      waits: before.waits + 1,
      waited: before.waited + 1,
      expired: before.expired + 1,
    });
  });
});
