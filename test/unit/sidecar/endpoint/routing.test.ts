/**
 * Goal: every path of the API is served with and without `/v1` by the same call, and everything else gets a coded answer
 * that says what exists.
 * Method: the routes in memory, with calls that record what reaches them.
 */
import { describe, expect, test } from '@jest/globals';
import type { ErrorBody } from '../../../../src/api/codes.ts';
import { OPERATIONS, ROUTES_SERVED } from '../../../../src/sidecar/endpoint/operations.ts';
import { inMemory, post } from '../../../support/local-endpoint.ts';
import { scriptedCalls } from '../../../support/scripted-calls.ts';
import { EXAMPLES } from '../../../../src/sidecar/endpoint/open-api-examples.ts';

const calls = scriptedCalls();
const send = await inMemory(calls);
const token = EXAMPLES.hold.fencingToken;

describe('with and without the prefix', () => {
  test.each([
    ['acquire', post('/locks/p/k:acquire', { ttlMs: 2_000 }), ['p/k', { ttlMs: 2_000 }], EXAMPLES.hold],
    ['renew', post('/locks/p/k:renew', { fencingToken: token }), ['p/k', { fencingToken: token }], EXAMPLES.hold],
    [
      'release',
      post('/locks/p/k:release', { fencingToken: token }),
      ['p/k', { fencingToken: token }],
      EXAMPLES.released,
    ],
    [
      'forceRelease',
      post('/locks/p/k:forceRelease', { reason: 'why' }),
      ['p/k', { reason: 'why' }],
      EXAMPLES.forceReleased,
    ],
    ['inspect', { url: '/locks/p/k?namespace=shop' }, ['p/k', 'shop'], EXAMPLES.record],
    ['inspect', { url: '/locks/p/held' }, ['p/held', undefined], EXAMPLES.record],
    ['held', { url: `/locks/p/k:held?fencingToken=${token}` }, ['p/k', token, undefined], EXAMPLES.held],
    [
      'list',
      { url: '/locks' },
      [{ prefix: '', limit: 100, continue: undefined, namespace: undefined }],
      { items: [EXAMPLES.record] },
    ],
    [
      'list',
      { url: '/locks?prefix=p/a+b&limit=7&continue=x%2By&namespace=shop' },
      [{ prefix: 'p/a+b', limit: 7, continue: 'x+y', namespace: 'shop' }],
      { items: [EXAMPLES.record] },
    ],
    [
      'acquireAll',
      post('/locks:acquireAll', { ids: ['a', 'p/k'] }),
      [{ ids: ['a', 'p/k'] }],
      { holds: [EXAMPLES.hold], validForMs: EXAMPLES.hold.validForMs },
    ],
    ['releaseAll', post('/locks:releaseAll', EXAMPLES.releaseAll), [EXAMPLES.releaseAll], EXAMPLES.releasedAll],
  ] as const)('%s %#', async (operation, request, given, answered) => {
    calls.seen.length = 0;
    for (const prefix of ['/v1', '']) {
      const answer = await send({ ...request, url: `${prefix}${request.url as string}` });
      expect({ status: answer.status, body: answer.json() }).toEqual({ status: 200, body: answered });
      expect(answer.headers['content-type']).toBe('application/json; charset=utf-8');
      expect(calls.seen.at(-1)).toMatchObject({ operation, arguments: given });
    }
    expect(calls.seen.length).toBe(2);
  });

  test('hold', async () => {
    calls.seen.length = 0;
    for (const prefix of ['/v1', '']) {
      const answer = await send(post(`${prefix}/locks/p/k:hold`, { mode: 'shared' }));
      expect(answer.status).toBe(200);
      expect(answer.headers['content-type']).toBe('application/x-ndjson');
      expect(answer.text).toBe(`${JSON.stringify(EXAMPLES.granted)}\n`);
      expect(calls.seen.at(-1)).toMatchObject({ operation: 'hold', arguments: ['p/k', { mode: 'shared' }] });
    }
  });
});

describe('what is not served', () => {
  test.each([
    '/',
    '/v1',
    '/v1/',
    '/v2/locks/a',
    '/v1/v1/locks/a',
    '//locks/a',
    '/lock/a',
    '/locksa',
    '/acquire',
    '/v1/locks/a:',
    '/v1/locks/a:Acquire',
    '/v1/locks/a:acquire2',
    '/v1/locks/a:toString',
    '/v1/locks/a:acqu%69re',
    '/v1/locks:hold',
    '/healthz/',
    '/favicon.ico',
  ])('%s is ROUTE_NOT_FOUND', async (url) => {
    for (const method of ['GET', 'POST', 'DELETE', 'OPTIONS'] as const) {
      const answer = await send({ method, url: { pathname: url } });
      const body = answer.json<ErrorBody>();
      expect({ status: answer.status, code: body.code }).toEqual({ status: 404, code: 'ROUTE_NOT_FOUND' });
      for (const route of ROUTES_SERVED) expect(body.message).toContain(route);
      expect(body).toMatchObject({ retryable: false, details: { method, path: expect.any(String) } });
    }
  });

  test.each(Object.entries(OPERATIONS))(
    '%s answers other methods with METHOD_NOT_ALLOWED',
    async (_operation, { method, path }) => {
      const allow = method === 'GET' ? 'GET, HEAD' : 'POST';
      for (const wrong of ['PUT', 'DELETE', 'PATCH', 'OPTIONS', method === 'GET' ? 'POST' : 'GET'] as const) {
        const answer = await send({ method: wrong, url: path.replace('{id}', 'a') });
        expect({ status: answer.status, code: answer.json<ErrorBody>().code, allow: answer.headers['allow'] }).toEqual({
          status: 405,
          code: 'METHOD_NOT_ALLOWED',
          allow,
        });
      }
    },
  );

  test('a POST without a verb is told how to write one', async () => {
    const answer = await send(post('/v1/locks/a%3Aacquire'));
    expect(answer.status).toBe(405);
    expect(answer.json<ErrorBody>().message).toMatch(/:acquire.*%3A does not start a verb/s);
  });

  test('HEAD is answered like GET, without a body', async () => {
    calls.seen.length = 0;
    const answer = await send({ method: 'HEAD', url: '/v1/locks/a' });
    expect({ status: answer.status, text: answer.text }).toEqual({ status: 200, text: '' });
    expect(calls.seen.at(-1)?.operation).toBe('inspect');
  });
});
