/**
 * Goal: a body that is not what the schema says is refused before any call, and the answer names the field, what was
 * wrong and what is allowed.
 * Method: one table of bad bodies over all routes that take one, and the good ones at the bounds.
 */
import { describe, expect, test } from '@jest/globals';
import type { ErrorBody } from '../../../../src/api/codes.ts';
import { LIMITS } from '../../../../src/api/limits.ts';
import { inMemory, post } from '../../../support/local-endpoint.ts';
import { scriptedCalls } from '../../../support/scripted-calls.ts';

const calls = scriptedCalls();
const send = await inMemory(calls);

const acquire = '/v1/locks/a:acquire';
const hold = '/v1/locks/a:hold';
const renew = '/v1/locks/a:renew';
const release = '/v1/locks/a:release';
const force = '/v1/locks/a:forceRelease';
const acquireAll = '/v1/locks:acquireAll';
const releaseAll = '/v1/locks:releaseAll';

const entries = (count: number, value = '') =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, value]));
const ids = (count: number) => Array.from({ length: count }, (_, index) => `lock-${index}`);
/** One byte too many as JSON: `{"k":"..."}` has 8 bytes around the value. */
const metadataTooLarge = { k: 'v'.repeat(LIMITS.metadataBytesMax - 8 + 1) };

describe('is refused', () => {
  test.each<[string, string, unknown, string, RegExp]>([
    ['not an object', acquire, [], 'body', /must be a JSON object, not an array/],
    ['null', acquire, null, 'body', /must be a JSON object, not null/],
    ['a string', renew, 'x', 'body', /must be a JSON object, not a string/],
    ['an unknown field', acquire, { ttl: 1 }, 'ttl', /no field "ttl".*Did you mean ttlMs\?.*ownerId, mode, ttlMs/],
    [
      'a field of another call',
      renew,
      { fencingToken: '1', mode: 'shared' },
      'mode',
      /no field "mode".*fencingToken, ownerId/,
    ],
    ['autoRenew on a stream', hold, { autoRenew: true }, 'autoRenew', /no field "autoRenew"/],
    ['a name of the prototype', acquire, { toString: 1 }, 'toString', /no field "toString"/],
    ['a number as text', acquire, { ttlMs: '15000' }, 'ttlMs', /must be an integer, not a string/],
    ['text as a number', renew, { fencingToken: 7 }, 'fencingToken', /must be a string, not a number/],
    ['a fraction', acquire, { ttlMs: 1500.5 }, 'ttlMs', /must be an integer, not a number with a fraction/],
    ['a boolean as text', acquire, { autoRenew: 'true' }, 'autoRenew', /must be a boolean, not a string/],
    ['null as a field', acquire, { ownerId: null }, 'ownerId', /must be a string, not null/],
    ['ttlMs below', acquire, { ttlMs: LIMITS.ttlMsMin - 1 }, 'ttlMs', /from 1000 to 3600000, not 999/],
    ['ttlMs above', renew, { fencingToken: '1', ttlMs: LIMITS.ttlMsMax + 1 }, 'ttlMs', /from 1000 to 3600000/],
    ['timeoutMs below', acquire, { timeoutMs: -2 }, 'timeoutMs', /from -1 to 86400000/],
    [
      'timeoutMs above',
      acquireAll,
      { ids: ['a'], timeoutMs: LIMITS.timeoutMsMax + 1 },
      'timeoutMs',
      /from -1 to 86400000/,
    ],
    ['maxHoldMs above', hold, { maxHoldMs: LIMITS.maxHoldMsMax + 1 }, 'maxHoldMs', /from 1000 to 2592000000/],
    ['priority above', acquire, { priority: 10 }, 'priority', /from 0 to 9/],
    ['another mode', acquire, { mode: 'write' }, 'mode', /one of "exclusive", "shared"/],
    ['an empty ownerId', acquire, { ownerId: '' }, 'ownerId', /1 to 128 characters/],
    ['an ownerId too long', release, { fencingToken: '1', ownerId: 'o'.repeat(129) }, 'ownerId', /1 to 128 characters/],
    ['a space in an ownerId', acquire, { ownerId: 'a b' }, 'ownerId', /no space/],
    ['a requestId with a line break', acquire, { requestId: 'a\n' }, 'requestId', /no space/],
    ['a bad namespace', acquire, { namespace: 'Shop' }, 'namespace', /namespace/],
    ['a missing token', renew, {}, 'fencingToken', /fencingToken is missing/],
    ['a missing token at release', release, {}, 'fencingToken', /fencingToken is missing/],
    ['a token that is no number', release, { fencingToken: '1e3' }, 'fencingToken', /decimal string/],
    ['a token of zero', renew, { fencingToken: '0' }, 'fencingToken', /decimal string/],
    ['a token with a leading zero', renew, { fencingToken: '01' }, 'fencingToken', /decimal string/],
    ['a token above 2^53 - 1', renew, { fencingToken: '9007199254740992' }, 'fencingToken', /at most 9007199254740991/],
    ['the same at release', release, { fencingToken: '9999999999999999' }, 'fencingToken', /at most 9007199254740991/],
    ['autoRenew without maxHoldMs', acquire, { autoRenew: true }, 'maxHoldMs', /autoRenew needs it/],
    ['metadata that is no map', acquire, { metadata: 'x' }, 'metadata', /must be an object, not a string/],
    ['a number in metadata', acquire, { metadata: { 'a.b/c': 1 } }, 'metadata.a.b/c', /must be a string, not a number/],
    [
      'an empty name in metadata',
      acquire,
      { metadata: { '': 'x' } },
      'metadata',
      /name in the field metadata must have 1 to 128/,
    ],
    ['too many entries', acquire, { metadata: entries(33) }, 'metadata', /33 entries; at most 32/],
    ['too many bytes', acquire, { metadata: metadataTooLarge }, 'metadata', /4097 bytes as JSON; at most 4096/],
    ['too many bytes on a stream', hold, { metadata: metadataTooLarge }, 'metadata', /4097 bytes/],
    ['too many bytes for all', acquireAll, { ids: ['a'], metadata: metadataTooLarge }, 'metadata', /4097 bytes/],
    ['bytes, not characters', acquire, { metadata: { k: 'ä'.repeat(2_048) } }, 'metadata', /4104 bytes/],
    ['no reason', force, {}, 'reason', /reason is missing/],
    ['an empty reason', force, { reason: '' }, 'reason', /1 to 512 characters/],
    ['a reason too long', force, { reason: 'r'.repeat(513) }, 'reason', /1 to 512 characters/],
    ['no ids', acquireAll, {}, 'ids', /ids is missing/],
    ['empty ids', acquireAll, { ids: [] }, 'ids', /1 to 32 entries/],
    ['too many ids', acquireAll, { ids: ids(33) }, 'ids', /1 to 32 entries/],
    ['an id that is none', acquireAll, { ids: ['a', 'B'] }, 'ids.1', /no lock id/],
    ['an id twice', acquireAll, { ids: ['a', 'p/k', 'a'] }, 'ids.2', /named twice/],
    ['a number as an id', acquireAll, { ids: [1] }, 'ids.0', /must be a string/],
    [
      'an unknown field in a hold',
      releaseAll,
      { holds: [{ lockId: 'a', fencingToken: '1', x: 1 }] },
      'holds.0.x',
      /no field "holds.0.x"/,
    ],
    ['a hold without token', releaseAll, { holds: [{ lockId: 'a' }] }, 'holds.0.fencingToken', /is missing/],
    [
      'a token above 2^53 - 1 in a hold',
      releaseAll,
      {
        holds: [
          { lockId: 'a', fencingToken: '1' },
          { lockId: 'b', fencingToken: '9007199254740992' },
        ],
      },
      'holds.1.fencingToken',
      /at most/,
    ],
    [
      'an id that is none in a hold',
      releaseAll,
      { holds: [{ lockId: 'a:b', fencingToken: '1' }] },
      'holds.0.lockId',
      /no lock id/,
    ],
  ])('%s', async (_what, url, body, field, message) => {
    const before = calls.seen.length;
    const answer = await send(post(url, body));
    const error = answer.json<ErrorBody>();
    expect({ status: answer.status, code: error.code, field: error.details['field'] }).toEqual({
      status: 400,
      code: 'INVALID_ARGUMENT',
      field,
    });
    expect(error.message).toMatch(message);
    expect(error.message).toMatch(/\.$/);
    expect(calls.seen.length).toBe(before);
  });

  test.each<[string, string, RegExp, number | undefined]>([
    ['a comma too many', '{"ttlMs":1500,}', /position 14/, 14],
    ['a name without quotes', '{ttlMs:1}', /position 1/, 1],
    ['cut off', '{"ttlMs":', /JSON/, undefined],
    ['no JSON', 'ttlMs=1', /not valid JSON/, undefined],
    ['two bodies', '{}{}', /position 2/, 2],
    ['__proto__', '{"__proto__":{"ttlMs":1500}}', /never allowed/, undefined],
    ['__proto__ in disguise', '{"metadata":{"__\\u0070roto__":"x"}}', /never allowed/, undefined],
    ['constructor.prototype', '{"metadata":{"constructor":{"prototype":{}}}}', /never allowed/, undefined],
  ])('malformed: %s', async (_what, payload, message, position) => {
    const answer = await send({ ...post(acquire), payload });
    const error = answer.json<ErrorBody>();
    expect({ status: answer.status, code: error.code }).toEqual({ status: 400, code: 'INVALID_ARGUMENT' });
    expect(error.details['field']).toBe('body');
    expect(error.message).toMatch(message);
    expect(error.details['position']).toBe(position);
  });

  test('larger than the limit, by one byte', async () => {
    const payload = `{"ownerId":"o"${' '.repeat(LIMITS.bodyBytesMax - 15)}}`;
    expect(payload.length).toBe(LIMITS.bodyBytesMax);
    expect((await send({ ...post(acquire), payload })).status).toBe(200);
    const answer = await send({ ...post(acquire), payload: `${payload} ` });
    expect(answer.status).toBe(413);
    expect(answer.json()).toMatchObject({
      code: 'PAYLOAD_TOO_LARGE',
      details: { field: 'body', limit: LIMITS.bodyBytesMax },
      retryable: false,
    });
  });
});

describe('is accepted', () => {
  test.each<[string, string, unknown]>([
    ['nothing', acquire, {}],
    ['the lowest values', acquire, { ttlMs: LIMITS.ttlMsMin, timeoutMs: -1, priority: 0, maxHoldMs: LIMITS.ttlMsMin }],
    [
      'the highest values',
      acquire,
      { ttlMs: LIMITS.ttlMsMax, timeoutMs: LIMITS.timeoutMsMax, priority: 9, maxHoldMs: LIMITS.maxHoldMsMax },
    ],
    [
      'names at their longest',
      acquire,
      { ownerId: 'o'.repeat(128), requestId: 'r'.repeat(128), namespace: 'n'.repeat(63) },
    ],
    ['autoRenew that ends', acquire, { autoRenew: true, maxHoldMs: 60_000 }],
    ['autoRenew off', acquire, { autoRenew: false }],
    ['metadata at its largest', acquire, { metadata: { k: 'v'.repeat(LIMITS.metadataBytesMax - 8) } }],
    ['as many entries as allowed', hold, { metadata: entries(32) }],
    ['metadata with names of methods', acquire, { metadata: { constructor: 'x', toString: 'y' } }],
    ['the largest token', renew, { fencingToken: '9007199254740991' }],
    ['as many ids as allowed', acquireAll, { ids: ids(32) }],
  ])('%s', async (_what, url, body) => {
    const answer = await send(post(url, body));
    expect(answer.status).toBe(200);
    expect(calls.seen.at(-1)?.arguments.at(-1)).toEqual(body);
  });

  test('an empty body that is declared as JSON means {}', async () => {
    const { payload: _payload, ...empty } = post(acquire);
    expect((await send(empty)).status).toBe(200);
    expect(calls.seen.at(-1)?.arguments).toEqual(['a', {}]);
    expect((await send({ ...empty, url: renew })).json()).toMatchObject({ details: { field: 'fencingToken' } });
  });

  test('the largest body that the limits allow, written plainly, is half the limit at most', async () => {
    const key = 'k'.repeat(LIMITS.poolKeyLengthMax - 2);
    const lockIds = Array.from(
      { length: LIMITS.acquireAllMax },
      (_, index) => `${'p'.repeat(LIMITS.nameLengthMax)}/${key}${index + 10}`,
    );
    const all = {
      ids: lockIds,
      ownerId: 'o'.repeat(128),
      metadata: { k: 'v'.repeat(LIMITS.metadataBytesMax - 8) },
      namespace: 'n'.repeat(63),
    };
    const back = {
      holds: lockIds.map((lockId) => ({ lockId, fencingToken: '9007199254740991' })),
      ownerId: 'o'.repeat(128),
    };
    for (const [url, body] of [
      [acquireAll, all],
      [releaseAll, back],
    ] as const) {
      expect(JSON.stringify(body).length).toBeLessThan(LIMITS.bodyBytesMax / 2);
      expect((await send(post(url, body))).status).toBe(200);
    }
  });
});
