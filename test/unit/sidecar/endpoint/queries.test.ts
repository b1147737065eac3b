/**
 * Goal: query parameters are as strict as bodies.
 * Method: the routes in memory and a table.
 */
import { describe, expect, test } from '@jest/globals';
import type { ErrorBody } from '../../../../src/api/codes.ts';
import { LIMITS } from '../../../../src/api/limits.ts';
import { inMemory, post } from '../../../support/local-endpoint.ts';
import { scriptedCalls } from '../../../support/scripted-calls.ts';

const calls = scriptedCalls();
const send = await inMemory(calls);

describe('is refused', () => {
  test.each<[string, string, RegExp]>([
    ['/v1/locks/a?x=1', 'x', /no query parameter "x".*Known here: namespace/],
    ['/v1/locks/a?fencingToken=1', 'fencingToken', /no query parameter/],
    ['/v1/locks/a?namespace=a&namespace=b', 'namespace', /given twice/],
    ['/v1/locks/a?namespace=', 'namespace', /empty/],
    ['/v1/locks/a?namespace', 'namespace', /empty/],
    ['/v1/locks/a?namespace=Shop', 'namespace', /no namespace/],
    ['/v1/locks/a?Namespace=shop', 'Namespace', /no query parameter/],
    ['/v1/locks/a?__proto__=1', '__proto__', /no query parameter/],
    ['/v1/locks/a?namespace=%zz', 'query', /broken/],
    ['/v1/locks/a?%=1', 'query', /broken/],
    ['/v1/locks/a?&', '""', /no query parameter/],
    ['/v1/locks/a:held', 'fencingToken', /fencingToken is missing/],
    ['/v1/locks/a:held?fencingToken=', 'fencingToken', /decimal number/],
    ['/v1/locks/a:held?fencingToken=-1', 'fencingToken', /decimal number/],
    ['/v1/locks/a:held?fencingToken=0', 'fencingToken', /decimal number/],
    ['/v1/locks/a:held?fencingToken=9007199254740992', 'fencingToken', /at most 9007199254740991/],
    ['/v1/locks?limit=0', 'limit', /from 1 to 500/],
    ['/v1/locks?limit=501', 'limit', /from 1 to 500/],
    ['/v1/locks?limit=1e2', 'limit', /from 1 to 500/],
    ['/v1/locks?limit=', 'limit', /from 1 to 500/],
    ['/v1/locks?prefix=a%20b', 'prefix', /beginning of a lock id/],
    ['/v1/locks?continue=', 'continue', /previous page/],
    ['/v1/locks?continue=%00', 'continue', /previous page/],
    ['/healthz?x=1', 'x', /takes none/],
    ['/readyz?x=1', 'x', /takes none/],
    ['/metrics?x=1', 'x', /takes none/],
    ['/openapi.json?x=1', 'x', /takes none/],
  ])('%s', async (url, field, message) => {
    const before = calls.seen.length;
    const answer = await send({ url });
    const error = answer.json<ErrorBody>();
    expect({ status: answer.status, code: error.code, field: error.details['field'] }).toEqual({
      status: 400,
      code: 'INVALID_ARGUMENT',
      field,
    });
    expect(error.message).toMatch(message);
    expect(calls.seen.length).toBe(before);
  });

  test.each([
    ['prefix', 265],
    ['continue', 1_025],
  ])('a %s that is too long', async (field, length) => {
    const answer = await send({ url: `/v1/locks?${field}=${'a'.repeat(length)}` });
    expect(answer.status).toBe(400);
    expect(answer.json()).toMatchObject({ code: 'INVALID_ARGUMENT', details: { field } });
    expect((await send({ url: `/v1/locks?${field}=${'a'.repeat(length - 1)}` })).status).toBe(200);
  });

  test('any parameter of a POST', async () => {
    const answer = await send(post('/v1/locks/a:acquire?namespace=shop'));
    expect(answer.status).toBe(400);
    expect(answer.json()).toMatchObject({
      code: 'INVALID_ARGUMENT',
      details: { field: 'query', value: 'namespace=shop' },
    });
  });

  test('a body of a GET', async () => {
    const answer = await send({ method: 'GET', url: '/v1/locks/a', payload: '{"namespace":"shop"}' });
    expect(answer.status).toBe(400);
    expect(answer.json()).toMatchObject({ code: 'INVALID_ARGUMENT', details: { field: 'body' } });
  });
});

test('a list at its bounds', async () => {
  expect((await send({ url: `/v1/locks?limit=${LIMITS.listLimitMax}&prefix=p%2F` })).status).toBe(200);
  expect(calls.seen.at(-1)?.arguments[0]).toMatchObject({ limit: LIMITS.listLimitMax, prefix: 'p/' });
});
