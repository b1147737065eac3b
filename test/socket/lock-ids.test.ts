/**
 * Goal: an id in the path is read byte for byte and decoded exactly once, whatever it looks like.
 * Method: raw request lines on a real socket (URL classes and test clients normalise), one table of ids that reach the
 * calls and one of ids that are refused, and every valid id at random in three spellings.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { ErrorBody } from '../../src/api/codes.ts';
import { LIMITS } from '../../src/api/limits.ts';
import { lockIdProblem } from '../../src/api/lock-id.ts';
import type { Endpoint } from '../../src/sidecar/endpoint/endpoint.ts';
import { targetOf } from '../../src/sidecar/endpoint/target.ts';
import { exchange, firstAnswer, head, openForTest, rawPost } from '../support/local-endpoint.ts';
import { type ScriptedCalls, scriptedCalls } from '../support/scripted-calls.ts';

let calls: ScriptedCalls;
let endpoint: Endpoint;

beforeAll(async () => {
  calls = scriptedCalls();
  endpoint = await openForTest({ calls });
});
afterAll(() => endpoint[Symbol.asyncDispose]());

async function acquireRaw(path: string) {
  const { port } = endpoint;
  return firstAnswer(await exchange({ port }, rawPost(path, port, '{}', ['connection: close'])));
}

describe('reaches the calls', () => {
  test.each([
    ['/v1/locks/migrations:acquire', 'migrations'],
    ['/locks/migrations:acquire', 'migrations'],
    ['/v1/locks/payments/order-42:acquire', 'payments/order-42'],
    ['/v1/locks/payments%2Forder-42:acquire', 'payments/order-42'],
    ['/v1/locks/payments%2forder-42:acquire', 'payments/order-42'],
    ['/locks/payments/tenant%2Fa/order:acquire', 'payments/tenant/a/order'],
    ['/v1/locks/payments/a+b,c=d@e~f_g:acquire', 'payments/a+b,c=d@e~f_g'],
    ['/v1/locks/payments/a%2Bb:acquire', 'payments/a+b'],
    ['/v1/locks/payments/...:acquire', 'payments/...'],
    ['/v1/locks/payments/v1/locks:acquire', 'payments/v1/locks'],
    ['/v1/locks/%6digrations:acquire', 'migrations'],
    ['/v1/locks/held:acquire', 'held'],
  ])('%s', async (path, lockId) => {
    const answer = await acquireRaw(path);
    expect(answer.status).toBe(200);
    expect(calls.seen.at(-1)).toMatchObject({ operation: 'acquire', arguments: [lockId, {}] });
  });
});

describe('is refused', () => {
  const long = 'a'.repeat(LIMITS.nameLengthMax + 1);
  test.each([
    ['decoded once only', '/v1/locks/payments%252Forder-42:acquire', 'payments%2Forder-42'],
    ['a colon', '/v1/locks/a:b:acquire', 'a:b'],
    ['an encoded colon', '/v1/locks/a%3Ab:acquire', 'a:b'],
    ['a colon in the key', '/v1/locks/payments/a:b:acquire', 'payments/a:b'],
    ['a control character', '/v1/locks/a%00b:acquire', 'a\u0000b'],
    ['a line break', '/v1/locks/payments/a%0D%0Ab:acquire', 'payments/a\r\nb'],
    ['a space', '/v1/locks/payments/a%20b:acquire', 'payments/a b'],
    ['no ASCII', '/v1/locks/payments/%C3%A4:acquire', 'payments/ä'],
    ['empty', '/v1/locks/:acquire', ''],
    ['an empty key', '/v1/locks/payments/:acquire', 'payments/'],
    ['an empty pool', '/v1/locks//order:acquire', '/order'],
    ['an empty segment', '/v1/locks/payments/a//b:acquire', 'payments/a//b'],
    ['a dot segment', '/v1/locks/payments/./b:acquire', 'payments/./b'],
    ['a dot-dot segment', '/v1/locks/payments/a/../b:acquire', 'payments/a/../b'],
    ['an encoded dot-dot segment', '/v1/locks/payments/a/%2e%2E/b:acquire', 'payments/a/../b'],
    ['a dot-dot out of the locks', '/v1/locks/../healthz:acquire', '../healthz'],
    ['a backslash', '/v1/locks/payments/a\\b:acquire', 'payments/a\\b'],
    ['a fragment', '/v1/locks/payments/a#b:acquire', 'payments/a#b'],
    ['upper case in a name', '/v1/locks/Migrations:acquire', 'Migrations'],
    ['a name too long', `/v1/locks/${long}:acquire`, long],
    ['a key too long', `/v1/locks/p/${'k'.repeat(LIMITS.poolKeyLengthMax + 1)}:acquire`, `p/${'k'.repeat(201)}`],
  ])('%s', async (_what, path, lockId) => {
    const before = calls.seen.length;
    const answer = await acquireRaw(path);
    const body = answer.json<ErrorBody>();
    expect({ status: answer.status, code: body.code }).toEqual({ status: 400, code: 'INVALID_ARGUMENT' });
    expect(body.details).toMatchObject({ field: 'lockId', value: lockId.slice(0, 80) });
    expect(body.message).toContain(lockIdProblem(lockId));
    expect(calls.seen.length).toBe(before);
  });

  test('a colon before the last segment starts no verb', async () => {
    const bytes = head('GET /v1/locks/payments:x/order', endpoint.port, ['connection: close']);
    const answer = firstAnswer(await exchange(endpoint, bytes));
    expect({ status: answer.status, field: answer.json<ErrorBody>().details['field'] }).toEqual({
      status: 400,
      field: 'lockId',
    });
  });

  test.each(['/v1/locks/a%:acquire', '/v1/locks/a%2:acquire', '/v1/locks/a%zz:acquire', '/v1/locks/p/%C3%28:acquire'])(
    'broken percent-encoding: %s',
    async (path) => {
      const answer = await acquireRaw(path);
      expect(answer.status).toBe(400);
      expect(answer.json()).toMatchObject({ code: 'INVALID_ARGUMENT', details: { field: 'lockId' } });
      expect(answer.json<ErrorBody>().message).toContain('percent-encoding');
    },
  );
});

describe('every valid id at random', () => {
  const segment = fc.stringMatching(/^[A-Za-z0-9._~@+=,-]{1,20}$/).filter((text) => text !== '.' && text !== '..');
  const name = fc.stringMatching(/^[a-z0-9](?:[-a-z0-9]{0,20}[a-z0-9])?$/);
  const poolId = fc
    .tuple(name, fc.array(segment, { minLength: 1, maxLength: 5 }))
    .map(([pool, key]) => `${pool}/${key.join('/')}`);

  test('is the same plain, with encoded slashes, and with every byte encoded', () => {
    const encodeAll = (id: string) =>
      [...Buffer.from(id)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
    fc.assert(
      fc.property(fc.oneof(name, poolId), (id) => {
        for (const spelling of [id, encodeURIComponent(id), encodeAll(id)]) {
          for (const prefix of ['/v1', '']) {
            expect(targetOf(`${prefix}/locks/${spelling}:renew`)).toMatchObject({
              operation: 'renew',
              lockId: id,
              query: '',
            });
            expect(targetOf(`${prefix}/locks/${spelling}?namespace=a:b/c`)).toMatchObject({
              operation: 'inspect',
              lockId: id,
              query: 'namespace=a:b/c',
            });
          }
        }
      }),
    );
  });

  test('no text is read as anything but a target', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
        const { path, lockId, query } = targetOf(text);
        expect([typeof path, typeof query]).toEqual(['string', 'string']);
        expect(['string', 'undefined']).toContain(typeof lockId);
      }),
    );
  });
});
